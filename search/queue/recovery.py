"""Return of tasks to the queue because of a fault of their worker."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, func, select, update

from trainstack.search.database.schema import durable, studies, tasks, workers
from trainstack.search.queue.attempts import end, owned, requeue, write
from trainstack.search.queue.eligibility import other_workers, seconds_from_now
from trainstack.search.queue.rows import TaskRow, WorkerRow, task_of
from trainstack.search.queue.study_store import (
    CONFIRMING,
    SEARCHING,
    UNPLANNED,
    change,
    locked,
    record_event,
)
from trainstack.search.queue.worker_registry import WorkerRemoved
from trainstack.search.records import SEARCH, Outcome, Status

LEASE_EXPIRED = "lease expired: the worker stopped responding"


def requeue_expired(
    engine: Engine,
    study_id: int,
    every_seconds: float = 0.0,
    watched_seconds: float | None = None,
) -> list[TaskRow] | None:
    """Return tasks whose lease has expired to the queue.

    Args:
        engine: The database.
        study_id: Id of the study.
        every_seconds: Do nothing if the last check was less than this long ago.
        watched_seconds: If the last check was longer ago than this, heartbeats may have been lost
            as well (the database was unavailable, or every worker gone): leases are first extended
            to this time from now. If the last check lies in the future, the database's clock has
            been set back, and every lease is set to this time from now.

    Returns:
        The updated rows of the tasks concerned; None if no check was due, or the study was locked.
    """
    since = func.extract("epoch", func.clock_timestamp() - studies.c.expiry_checked_at)
    # Skip the check while another transaction holds the study, instead of queueing for the lock.
    query = select(since).where(studies.c.study_id == study_id)
    query = query.with_for_update(key_share=True, skip_locked=every_seconds > 0)
    with engine.begin() as connection:
        durable(connection)
        row = connection.execute(query).first()
        if row is None or (row[0] is not None and 0.0 <= row[0] < every_seconds):
            return None
        change(connection, study_id, expiry_checked_at=func.clock_timestamp())
        unwatched = row[0] or 0.0
        running = (tasks.c.study_id == study_id) & (tasks.c.status == Status.RUNNING)
        if watched_seconds is not None and not 0.0 <= unwatched <= watched_seconds:
            renewed = seconds_from_now(watched_seconds)
            if unwatched > 0.0:
                renewed = func.greatest(tasks.c.lease_until, renewed)
            connection.execute(update(tasks).where(running).values(lease_until=renewed))
            return []
        # The lock on the study's row excludes concurrent claims and endings.
        expired = connection.execute(
            select(tasks)
            .where(running, tasks.c.lease_until < func.clock_timestamp())
            .order_by(tasks.c.task_id)
            .with_for_update()
        ).all()
        return [requeue(connection, task_of(row), LEASE_EXPIRED) for row in expired]


def no_room(
    engine: Engine, lease: tuple[int, str], worker_id: int, cause: str, alive_seconds: float
) -> TaskRow:
    """Requeue a task that ran out of memory for another worker, once; else end it as infeasible.

    Args:
        engine: The database.
        lease: Id and token of the task.
        worker_id: Id of the worker that ran out of memory.
        cause: The error message.
        alive_seconds: Workers with a heartbeat within this time count as alive.

    Raises:
        LeaseLost: The token is no longer the task's.
    """
    with engine.begin() as connection:
        row = owned(connection, *lease)
        if row.avoided_worker is not None or not other_workers(
            connection, row.study_id, worker_id, alive_seconds
        ):
            return end(connection, *lease, {"outcome": Outcome.INFEASIBLE, "cause": cause})
        row = write(connection, *lease, avoided_worker=worker_id)
        return requeue(connection, row, cause)


def quarantine(engine: Engine, worker_id: int, task_ids: Sequence[int], why: str) -> int:
    """Quarantine a worker that fails every task, and requeue the tasks that it failed.

    A search trial whose place was filled meanwhile stays failed, so that the budget stays exact.
    So does every task of a study that has concluded.

    Args:
        engine: The database.
        worker_id: Id of the worker.
        task_ids: Ids of the tasks that it failed recently.
        why: Reason for the study's history.

    Returns:
        Number of tasks requeued.

    Raises:
        WorkerRemoved: The worker's row was removed.
    """
    with engine.begin() as connection:
        durable(connection)
        study_id = connection.execute(
            update(workers)
            .where(workers.c.worker_id == worker_id)
            .values(state="quarantined", left_at=func.now())
            .returning(workers.c.study_id)
        ).scalar()
        if study_id is None:
            raise WorkerRemoved(f"worker {worker_id}")
        study = locked(connection, study_id)
        record_event(connection, WorkerRow(study.study_id, worker_id), "quarantined", why)
        room = study.trials - study.held if study.phase == SEARCHING else 0
        spoilt = connection.execute(
            select(tasks)
            .where(tasks.c.task_id.in_(task_ids), tasks.c.worker_id == worker_id)
            .where(tasks.c.status == Status.DONE, tasks.c.outcome == Outcome.FAILED)
            # Given stacks first: sampled ones can be replaced.
            .order_by(tasks.c.payload["given"].as_boolean().desc().nulls_last(), tasks.c.task_id)
        ).all()
        failed_here = [task_of(row) for row in spoilt]
        search = [row for row in failed_here if row.kind == SEARCH][:room]
        later = failed_here if study.phase == CONFIRMING else []
        again = [*search, *(row for row in later if row.kind != SEARCH)]
        for row in again:
            _wait_again(connection, row, why)
        held, failed = studies.c.held + len(search), studies.c.failed - len(search)
        revision = studies.c.revision + int(bool(search))
        values = {"held": held, "failed": failed, "revision": revision, "planned": UNPLANNED}
        change(connection, study.study_id, **values)
        return len(again)


def _wait_again(connection: Connection, row: TaskRow, why: str) -> None:
    """Requeue a failed task."""
    connection.execute(
        update(tasks)
        .where(tasks.c.task_id == row.task_id)
        .values(
            status=Status.WAITING,
            outcome=None,
            cause=why,
            token=None,
            finished_at=None,
            strikes=1,
            exported=False,
        )
    )
    record_event(connection, row, "given back", why)
