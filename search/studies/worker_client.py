"""The client through which a worker's supervisor talks to the database.

    client = WorkerClient.open(url, "digits", WorkerCard("host", 1234))
    while (state := client.advance()) not in ("concluded", "stopped"):
        if (lease := client.claim()) is None: wait
        else: train, call `heartbeat`, `report` epochs, `verdict` at rungs, then `finish`

Which stack a search trial gets, and whether it ends early, is decided in `search_decisions`.

Every method may raise StorageAwayError (repeat it later, which is safe), and those that write to a
lease may raise LeaseLost (drop the trial, claim the next). A worker whose row was removed is
registered again, under its id, by its next heartbeat or claim, and keeps its lease.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Engine

from trainstack.search.database.connection import engine, guarded, parse_url
from trainstack.search.queue import (
    attempts,
    claiming,
    lifecycle,
    recovery,
    study_store,
    worker_registry,
)
from trainstack.search.queue.attempts import INTERRUPTED, LeaseLost
from trainstack.search.queue.lease import LEASE_SECONDS, HeartbeatReply, Lease, lease_of
from trainstack.search.queue.maintenance import REQUEUE_SECONDS, Maintenance
from trainstack.search.queue.rows import TaskRow
from trainstack.search.queue.worker_registry import WorkerCard, WorkerRemoved
from trainstack.search.records import SEARCH, Measurement, Outcome, Result
from trainstack.search.sampling.optuna_export import WORKERS_EVERY_SECONDS, Exporting
from trainstack.search.studies.opening import Opened, open_study
from trainstack.search.studies.search_decisions import SearchDecisions
from trainstack.spaces.stack import Stack

__all__ = [
    "HEARTBEAT_SECONDS",
    "INTERRUPTED",
    "HeartbeatReply",
    "Lease",
    "LeaseLost",
    "WorkerCard",
    "WorkerClient",
]

# Longest interval between heartbeats, which also return the study's requested state.
HEARTBEAT_SECONDS = 2.0
# Least number of heartbeats per lease.
_HEARTBEATS_PER_LEASE = 6

P = ParamSpec("P")
T = TypeVar("T")


def _reaching(
    method: Callable[Concatenate[WorkerClient, P], T],
) -> Callable[Concatenate[WorkerClient, P], T]:
    """Register a removed worker again, and raise StorageAwayError if the database is away."""

    @functools.wraps(method)
    def wrapped(self: WorkerClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with guarded(self.url):
            while True:
                try:
                    return method(self, *args, **kwargs)
                except WorkerRemoved:
                    here, study_id = self._engine, self.study_id
                    worker_registry.rejoin(here, study_id, self.worker_id, self.card)

    return wrapped


class WorkerClient:
    """A worker's connection to a study. The methods are thread-safe."""

    def __init__(
        self,
        engine: Engine,
        study: Opened,
        worker: tuple[int, WorkerCard],
        seed: int,
        *,
        lease_seconds: float,
        requeue_seconds: float,
        judge: lifecycle.Judge | None,
    ) -> None:
        self.url, self.study_id = engine.url, study.row.study_id
        self.spec = study.spec
        self.worker_id, self.card = worker
        self._engine = engine
        self._decisions = SearchDecisions(engine, self.study_id, study.spec, seed, lease_seconds)
        self._lease_seconds, self._judge = lease_seconds, judge
        self.heartbeat_seconds = min(HEARTBEAT_SECONDS, lease_seconds / _HEARTBEATS_PER_LEASE)
        self._maintenance = Maintenance(engine, self.study_id, lease_seconds, requeue_seconds)
        self._joined = False
        self._unbegun: TaskRow | None = None

    @classmethod
    def open(
        cls,
        url: URL | str,
        study_name: str,
        card: WorkerCard,
        *,
        lease_seconds: float = LEASE_SECONDS,
        requeue_seconds: float = REQUEUE_SECONDS,
        judge: lifecycle.Judge | None = None,
    ) -> WorkerClient:
        """Join a study.

        Args:
            url: The database.
            study_name: Name of the study.
            card: Description of the worker.
            lease_seconds: Duration of a lease without a heartbeat.
            requeue_seconds: Least interval between checks for expired leases.
            judge: Decides about the confirmation; see `lifecycle.advance`.

        Raises:
            RequestError: The study was created with another version of this package.
            StorageAwayError: The database does not answer.
            StudyError: There is no such study.
        """
        url = parse_url(url) if isinstance(url, str) else url
        with guarded(url):
            here = engine(url)
            found = open_study(here, study_name)
            worker_registry.check(found.spec, card)
            worker_id, before = worker_registry.join(here, found.row.study_id, card)
            return cls(
                here,
                found,
                (worker_id, card),
                study_store.derived_seed(found.spec.seed, "sampler", before),
                lease_seconds=lease_seconds,
                requeue_seconds=requeue_seconds,
                judge=judge,
            )

    @_reaching
    def claim(self) -> Lease | None:
        """Claim the next task; None if there is none now (`advance` tells if the study ended)."""
        self._maintenance.run_if_due()
        self._read_history()
        self._undo()
        while row := claiming.claim(
            self._engine, self.study_id, self.worker_id, self._lease_seconds
        ):
            self._unbegun = row
            try:
                begun = self._decisions.begin if row.kind == SEARCH else lease_of
                lease = begun(row)
            except LeaseLost:
                lease = None
            self._unbegun = None
            if lease is not None:
                return lease
        return None

    @_reaching
    def claim_alike(
        self, lease: Lease, most: int, alike: Callable[[Stack, Stack], bool]
    ) -> list[Lease]:
        """Claim this worker's share of the runs that can be trained together with a leased one.

        Args:
            lease: The lease of a confirmation run.
            most: Number of runs to claim at most.
            alike: Returns whether two stacks can be trained together.
        """
        held, seconds = (lease.task_id, lease.token), self._lease_seconds
        try:
            rows = claiming.claim_alike(self._engine, held, self.worker_id, seconds, most, alike)
        except LeaseLost:
            return []  # the next heartbeat reports it
        return [lease_of(row) for row in rows]

    def _read_history(self) -> None:
        """Read trials before the first lease begins, as several hundred take about a second."""
        if not self._joined:
            self._decisions.proposals.refresh()
            self._joined = True

    def _undo(self) -> None:
        """Give back a task whose claim was interrupted by an unavailable database."""
        if (row := self._unbegun) is not None:
            with contextlib.suppress(LeaseLost):
                attempts.give_back(self._engine, row.task_id, row.token, INTERRUPTED)
            self._unbegun = None

    @_reaching
    def heartbeat(self, lease: Lease | None, state: str = "idle") -> HeartbeatReply:
        """Send a heartbeat, renew the lease and return the study's requested state."""
        held = None if lease is None else (lease.task_id, lease.token)
        requested = attempts.heartbeat(
            self._engine, self.worker_id, state, held, self._lease_seconds
        )
        self._maintenance.run_if_due()
        return HeartbeatReply.LOST if requested is None else HeartbeatReply(requested)

    @_reaching
    def report(self, lease: Lease, measurements: Sequence[Measurement]) -> None:
        """Write the measurements of one or more epochs; repeating a write is harmless.

        Raises:
            LeaseLost: The worker no longer holds the task.
        """
        with self._engine.begin() as connection:
            attempts.record(connection, lease.task_id, lease.token, measurements)

    @_reaching
    def verdict(self, lease: Lease, epoch: int) -> bool:
        """Return whether to prune a trial; see `SearchDecisions.verdict`."""
        return self._decisions.verdict(lease, epoch)

    @_reaching
    def is_behind(self, lease: Lease, values: Sequence[float]) -> bool:
        """Return whether to prune a trial on folds; see `SearchDecisions.is_behind`."""
        return self._decisions.is_behind(lease, values)

    @_reaching
    def finish(self, lease: Lease, result: Result) -> None:
        """End the task with a result; a value that is not finite counts as divergence.

        Raises:
            LeaseLost: The worker no longer holds the task.
        """
        if result.value is not None and not math.isfinite(result.value):
            why = result.cause or f"validation loss {result.value}"
            trained = result.outcome in (Outcome.COMPLETED, Outcome.PRUNED)
            outcome = Outcome.DIVERGED if trained else result.outcome
            result = dataclasses.replace(result, outcome=outcome, value=None, cause=why)
        attempts.finish(self._engine, lease.task_id, lease.token, result)

    @_reaching
    def give_back(self, lease: Lease, cause: str = INTERRUPTED) -> None:
        """Return the task to the queue; a cause other than INTERRUPTED counts against it.

        Raises:
            LeaseLost: The worker no longer holds the task.
        """
        attempts.give_back(self._engine, lease.task_id, lease.token, cause)

    @_reaching
    def no_room(self, lease: Lease, cause: str) -> None:
        """Requeue a task that ran out of memory for another worker, once; else end it.

        Raises:
            LeaseLost: The worker no longer holds the task.
        """
        held, alive = (lease.task_id, lease.token), self._lease_seconds
        recovery.no_room(self._engine, held, self.worker_id, cause, alive)

    @_reaching
    def quarantine(self, task_ids: Sequence[int], why: str) -> None:
        """Quarantine this worker and requeue the tasks that it failed."""
        recovery.quarantine(self._engine, self.worker_id, task_ids, why)

    @_reaching
    def advance(self) -> str:
        """Advance the study as far as possible and return its state; safe at any time."""
        self._maintenance.run_if_due()
        return lifecycle.advance(self._engine, self.study_id, self._judge)

    @_reaching
    def requeue_expired(self) -> int:
        """Requeue tasks with an expired lease now; return their number."""
        return len(recovery.requeue_expired(self._engine, self.study_id) or [])

    def exporting(self) -> Exporting:
        """Return a context in which this process exports the study to Optuna's storage."""
        return Exporting(self._engine, self.spec.study, WORKERS_EVERY_SECONDS)

    @_reaching
    def leave(self) -> None:
        """Leave the study and disconnect; finish or give back any lease before."""
        worker_registry.leave(self._engine, self.worker_id)
        self._engine.dispose()
