"""Periodic maintenance of a study: requeue expired leases, mark lost workers.

Every worker runs it, and so does `launch`, which may have no worker of its own.
"""

from __future__ import annotations

import math
import threading
import time

from sqlalchemy import Engine

from trainstack.search.database.connection import guarded
from trainstack.search.queue import recovery, worker_registry
from trainstack.search.queue.lease import LEASE_SECONDS

# Interval of the check for expired leases, over all workers together.
REQUEUE_SECONDS = 10.0
# A worker is marked as lost after this many lease durations without a heartbeat.
_GONE_AFTER_LEASES = 10


class Maintenance:
    """Maintains one study. The method is thread-safe and may be called at any rate.

    Args:
        engine: The database.
        study_id: Id of the study.
        lease_seconds: Duration of a lease without a heartbeat.
        requeue_seconds: Least interval between checks for expired leases.
    """

    def __init__(
        self,
        engine: Engine,
        study_id: int,
        lease_seconds: float = LEASE_SECONDS,
        requeue_seconds: float = REQUEUE_SECONDS,
    ) -> None:
        self._engine, self._study_id = engine, study_id
        self._lease_seconds, self._requeue_seconds = lease_seconds, requeue_seconds
        self._checked = -math.inf
        self._guard = threading.Lock()

    def run_if_due(self) -> None:
        """Run maintenance unless any process ran it within the last `requeue_seconds`.

        Raises:
            StorageAwayError: The database does not answer.
        """
        with self._guard:
            if time.monotonic() - self._checked < self._requeue_seconds:
                return
            self._checked = time.monotonic()
        with guarded(self._engine.url):
            # Long enough for several heartbeats of a living worker.
            watched = max(self._lease_seconds / 2, 3 * self._requeue_seconds)
            rows = recovery.requeue_expired(
                self._engine, self._study_id, self._requeue_seconds, watched
            )
            if rows is not None:  # otherwise another process has done it, or is about to
                silent = self._lease_seconds * _GONE_AFTER_LEASES
                worker_registry.mark_lost(self._engine, self._study_id, silent)
