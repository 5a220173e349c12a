"""Periodic maintenance of a study: requeue expired leases, keep Optuna's trials consistent.

Every worker runs it, and so does `launch`, which may have no worker of its own.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from sqlalchemy import URL, Engine, Row

from trainstack.search.database.connection import guarded, parse_url
from trainstack.search.queue import recovery, worker_registry
from trainstack.search.records import SEARCH
from trainstack.search.sampling.optuna_mirror import OptunaMirror
from trainstack.search.studies.opening import open_study

# Duration of a lease without a heartbeat.
LEASE_SECONDS = 60.0
# Interval of the check for expired leases, over all workers together.
REQUEUE_SECONDS = 10.0
# A worker is marked as lost after this many lease durations without a heartbeat.
_GONE_AFTER_LEASES = 10


class Maintenance:
    """Maintains one study. The methods are thread-safe and may be called at any rate."""

    def __init__(
        self,
        engine: Engine,
        study_id: int,
        mirror: OptunaMirror,
        lease_seconds: float = LEASE_SECONDS,
        requeue_seconds: float = REQUEUE_SECONDS,
    ) -> None:
        self._engine, self._study_id, self._mirror = engine, study_id, mirror
        self._lease_seconds, self._requeue_seconds = lease_seconds, requeue_seconds
        self._looked = -math.inf
        self._guard = threading.Lock()

    @classmethod
    def open(cls, url: URL | str, study_name: str) -> Maintenance:
        """Open the maintenance of a study for a process that is not one of its workers.

        Raises:
            StorageAwayError: The database does not answer.
            StudyError: There is no such study.
        """
        url = parse_url(url) if isinstance(url, str) else url
        with guarded(url):
            found = open_study(url, study_name)
            mirror = OptunaMirror(found.storage, found.spec, 0)
            return cls(found.storage.engine, found.row.study_id, mirror)

    def run_if_due(self) -> None:
        """Run maintenance unless any process ran it within the last `requeue_seconds`.

        Raises:
            StorageAwayError: The database does not answer; call again later.
        """
        with self._guard:
            if time.monotonic() - self._looked < self._requeue_seconds:
                return
            self._looked = time.monotonic()
        with guarded(self._engine.url):
            # Long enough for several heartbeats of a living worker.
            watched = max(self._lease_seconds / 2, 3 * self._requeue_seconds)
            rows = recovery.requeue_expired(
                self._engine, self._study_id, self._requeue_seconds, watched
            )
            if rows is None:
                return  # another process has done it, or is about to
            for row in rows:
                self.update_trial(row)
            silent = self._lease_seconds * _GONE_AFTER_LEASES
            worker_registry.mark_lost(self._engine, self._study_id, silent)
            self._mirror.repair()

    def requeue_expired(self) -> int:
        """Requeue tasks with an expired lease now; return their number."""
        rows = recovery.requeue_expired(self._engine, self._study_id) or []
        for row in rows:
            self.update_trial(row)
        return len(rows)

    def update_trial(self, row: Row[Any]) -> None:
        """Update the Optuna trial of a task that was requeued or ended."""
        if row.kind != SEARCH:
            return
        if row.status == "done":
            self._mirror.end(row)
        elif row.trial_id is not None:
            self._mirror.wait(row.trial_id)

    def close(self) -> None:
        """Close the database connections."""
        self._engine.dispose()
