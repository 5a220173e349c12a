"""The client: everything that a worker's supervisor says to the database, and nothing else.

    client = WorkerClient.open(url, "digits", WorkerCard("host", 1234))
    while (state := client.advance()) not in ("concluded", "stopped"):
        if (lease := client.claim()) is None: wait
        else: train, `beat` meanwhile, `report` epochs, `verdict` at rungs, then `finish`

Every method may raise StorageAwayError (try again later: repeating is safe) and those that write to
a lease may raise LeaseLost (drop the trial, take the next).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Row, select

from trainstack.search.database.connection import guarded, parse_url
from trainstack.search.database.schema import durable, studies
from trainstack.search.queue import (
    attempts,
    deduplication,
    lifecycle,
    recovery,
    study_store,
    worker_registry,
)
from trainstack.search.queue.attempts import INTERRUPTED, LeaseLost
from trainstack.search.queue.eligibility import seconds_from_now
from trainstack.search.queue.lease import HeartbeatReply, Lease, lease_of
from trainstack.search.queue.worker_registry import WorkerCard
from trainstack.search.records import SEARCH, Measurement, Result
from trainstack.search.sampling import optuna_tables
from trainstack.search.sampling.optuna_mirror import OptunaMirror, ensure_study
from trainstack.search.sampling.pruning import reported, step_of
from trainstack.search.studies.maintenance import LEASE_SECONDS, REQUEUE_SECONDS, Maintenance
from trainstack.search.studies.opening import open_study

__all__ = [
    "HEARTBEAT_SECONDS",
    "INTERRUPTED",
    "HeartbeatReply",
    "Lease",
    "LeaseLost",
    "WorkerCard",
    "WorkerClient",
]

# How often at least a worker says that it lives, and hears what people wish.
HEARTBEAT_SECONDS = 2.0
# And how many times within a lease.
_HEARTBEATS_PER_LEASE = 6

P = ParamSpec("P")
T = TypeVar("T")


def _reaching(
    method: Callable[Concatenate[WorkerClient, P], T],
) -> Callable[Concatenate[WorkerClient, P], T]:
    """Say StorageAwayError where the database does not answer."""

    @functools.wraps(method)
    def wrapped(self: WorkerClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with guarded(self.url):
            return method(self, *args, **kwargs)

    return wrapped


class WorkerClient:
    """A worker's place at a study. Its methods may be called from several threads."""

    def __init__(
        self,
        url: URL,
        study: Row[Any],
        mirror: OptunaMirror,
        worker: tuple[int, WorkerCard],
        *,
        lease_seconds: float,
        requeue_seconds: float,
        judge: lifecycle.Judge | None,
    ) -> None:
        self.url, self.study_id = url, study.study_id
        self.spec = mirror.spec
        self.worker_id, self.card = worker
        self._mirror, self._engine = mirror, mirror.storage.engine
        self._lease_seconds, self._judge = lease_seconds, judge
        self.heartbeat_seconds = min(HEARTBEAT_SECONDS, lease_seconds / _HEARTBEATS_PER_LEASE)
        self._maintenance = Maintenance(
            self._engine, self.study_id, mirror, lease_seconds, requeue_seconds
        )
        self._voided = study.voided
        self._loaded = False
        self._unbegun: Row[Any] | None = None

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
            study_name: Which study.
            card: Who joins.
            lease_seconds: How long a lease holds without a beat.
            requeue_seconds: How often, at most, silent workers' leases are looked for.
            judge: Who decides about the confirmation; the product's own unless given.

        Raises:
            RequestError: This package is not the one that the study was made with.
            StorageAwayError: The database does not answer.
            StudyError: There is no such study.
        """
        url = parse_url(url) if isinstance(url, str) else url
        with guarded(url):
            found = open_study(url, study_name)
            spec, engine = found.spec, found.storage.engine
            worker_registry.check(spec, card)
            ensure_study(found.storage, spec)
            worker_id, before = worker_registry.join(engine, found.row.study_id, card)
            seed = study_store.derived_seed(spec.seed, "sampler", before)
            return cls(
                url,
                found.row,
                OptunaMirror(found.storage, spec, seed),
                (worker_id, card),
                lease_seconds=lease_seconds,
                requeue_seconds=requeue_seconds,
                judge=judge,
            )

    @_reaching
    def claim(self) -> Lease | None:
        """Take the next task; None when there is nothing to do now (ask `advance` whether ever)."""
        self._maintenance.run_if_due()
        self._heed_voids()
        self._load()
        self._undo()
        while row := attempts.claim(
            self._engine, self.study_id, self.worker_id, self._lease_seconds
        ):
            self._unbegun = row
            try:
                lease = self._begin(row) if row.kind == SEARCH else lease_of(row)
            except LeaseLost:
                lease = None
            self._unbegun = None
            if lease is not None:
                return lease
        return None

    def _load(self) -> None:
        """Read trials before a lease begins: several hundred take about a second."""
        if not self._loaded:
            self._mirror.load()
            self._loaded = True

    def _undo(self) -> None:
        """Give back a task that was claimed when the database went away in the middle."""
        if (row := self._unbegun) is not None:
            with contextlib.suppress(LeaseLost):
                attempts.give_back(self._engine, row.task_id, row.token, INTERRUPTED)
            self._unbegun = None

    def _begin(self, row: Row[Any]) -> Lease | None:
        """Give a claimed place its Optuna trial and its stack; None if the cache answered it."""
        with self._engine.begin() as connection:
            # Written before the draw, so that whoever comes after a crash goes on with this trial.
            durable(connection)
            trial_id, number = self._mirror.begin(connection, row)
            own = {"trial_id": trial_id, "number": number, "lease_until": self._until()}
            row = attempts.write(connection, row.task_id, row.token, **own)
        try:
            stack, draft = self._mirror.draw(row)
        except (ValueError, TypeError, ArithmeticError, LookupError):
            # A fault of ours or the sampler's: the trial keeps the traceback, the worker goes on.
            self._finish(row, Result("failed", cause=traceback.format_exc()))
            return None
        with self._engine.begin() as connection:
            durable(connection)
            own = {"stack": stack.to_json(), "stack_id": stack.stack_id}
            own["lease_until"] = self._until()
            row = attempts.write(connection, row.task_id, row.token, **own)
            self._mirror.drawn(connection, stack, draft)
        if (
            not row.payload.get("given")
            and (duplicate := deduplication.find_finished_duplicate(self._engine, row)) is not None
        ):
            self._finish(row, duplicate[1], cached_of=duplicate[0])
            return None
        lease = lease_of(row)
        return dataclasses.replace(
            lease, rungs=tuple(self._mirror.pruner.places(self._planned(lease)))
        )

    def _planned(self, lease: Lease) -> int:
        assert lease.stack is not None
        return lease.stack.planned_epochs(self.spec.epochs)

    def _until(self) -> Any:
        """A whole lease from now: nobody beats while a trial is claimed, which takes its time."""
        return seconds_from_now(self._lease_seconds)

    @_reaching
    def heartbeat(self, lease: Lease | None, state: str = "idle") -> HeartbeatReply:
        """Say that this worker lives, renew its lease, and hear what people wish."""
        held = None if lease is None else (lease.task_id, lease.token)
        wish = attempts.heartbeat(self._engine, self.worker_id, state, held, self._lease_seconds)
        self._maintenance.run_if_due()
        return HeartbeatReply.LOST if wish is None else HeartbeatReply(wish)

    @_reaching
    def report(self, lease: Lease, measurements: Sequence[Measurement]) -> None:
        """Write epochs' measurements, any number at once; writing them again changes nothing.

        Raises:
            LeaseLost: The task is no longer ours.
        """
        told = {}
        if lease.trial_id is not None:
            row, planned, most = self._mirror.pruner, self._planned(lease), self.spec.epochs
            epochs = reported(row, planned)
            told = {
                step_of(row, m.epoch, planned, most): m.valid_loss
                for m in measurements
                if m.epoch in epochs
            }
        with self._engine.begin() as connection:
            attempts.record(connection, lease.task_id, lease.token, measurements)
            if lease.trial_id is not None:
                optuna_tables.report(connection, lease.trial_id, told)

    @_reaching
    def verdict(self, lease: Lease, epoch: int) -> bool:
        """Tell whether to prune, at a rung whose epoch has been reported.

        Given stacks compete, so that others are measured by them, but are trained to their end:
        somebody wants to know what they give.
        """
        if lease.trial_id is None or epoch not in lease.rungs:
            return False
        row = self._mirror.pruner
        rungs = row.places(self._planned(lease))
        exempt = list(rungs)[: lease.number % row.brackets]
        if lease.payload.get("given") or epoch in exempt:
            return False
        return self._mirror.prune(lease.trial_id, rungs[epoch])

    @_reaching
    def finish(self, lease: Lease, result: Result) -> None:
        """End the task; a value that is not finite is a divergence.

        Raises:
            LeaseLost: The task is no longer ours.
        """
        if result.value is not None and not math.isfinite(result.value):
            why = result.cause or f"validation loss {result.value}"
            outcome = "diverged" if result.outcome in ("completed", "pruned") else result.outcome
            result = dataclasses.replace(result, outcome=outcome, value=None, cause=why)
        self._finish(lease, result)

    def _finish(self, task: Lease | Row[Any], result: Result, cached_of: int | None = None) -> None:
        row = attempts.finish(self._engine, task.task_id, task.token, result, cached_of)
        if row.kind == SEARCH:
            self._mirror.end(row)

    @_reaching
    def give_back(self, lease: Lease, cause: str = INTERRUPTED) -> None:
        """Let another attempt have the task; a cause other than INTERRUPTED counts against it.

        Raises:
            LeaseLost: The task is no longer ours.
        """
        self._maintenance.show(attempts.give_back(self._engine, lease.task_id, lease.token, cause))

    @_reaching
    def no_room(self, lease: Lease, cause: str) -> None:
        """End a task for which memory did not suffice, or let another worker try it, once.

        Raises:
            LeaseLost: The task is no longer ours.
        """
        heard = self._lease_seconds
        row = recovery.no_room(self._engine, lease.task_id, lease.token, cause, heard)
        self._maintenance.show(row)

    @_reaching
    def quarantine(self, task_ids: Sequence[int], why: str) -> None:
        """Sign off as a worker that fails everything; others may have what it failed."""
        recovery.quarantine(self._engine, self.worker_id, task_ids, why)

    @_reaching
    def advance(self) -> str:
        """Take the study as far as it can go, and return its state; safe at any time."""
        self._maintenance.run_if_due()
        state = lifecycle.advance(self._engine, self.study_id, self._judge)
        if state in (study_store.CONFIRMING, study_store.CONCLUDED):
            self._mirror.repair(grace_seconds=0.0 if state == study_store.CONCLUDED else 5.0)
        return state

    @_reaching
    def requeue_expired(self) -> int:
        """Give back what silent workers hold, now; return how many tasks that were."""
        return self._maintenance.requeue_expired()

    def _heed_voids(self) -> None:
        with self._engine.connect() as connection:
            query = select(studies.c.voided).where(studies.c.study_id == self.study_id)
            voided = connection.execute(query).scalar_one()
        if voided != self._voided:
            self._voided = voided
            self._mirror.reload()
            self._loaded = False

    @_reaching
    def leave(self) -> None:
        """Sign off; what is still leased should have been finished or given back."""
        worker_registry.leave(self._engine, self.worker_id)
        self._mirror.repair(grace_seconds=0.0)
        self._engine.dispose()
