"""Leases: renew a claimed task, write to it, end it or give it back.

A claim hands out a token, which every later write must name. A write whose token is no longer the
task's changes nothing and raises `LeaseLost`, so a worker that was cut off cannot overwrite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.sql import ColumnElement

from trainstack.search.database.schema import attempts, durable, studies, tasks, workers
from trainstack.search.json_values import json_safe
from trainstack.search.queue.eligibility import seconds_from_now
from trainstack.search.queue.rows import TaskRow, task_of
from trainstack.search.queue.study_store import change, locked, record_event
from trainstack.search.queue.worker_registry import WorkerRemoved
from trainstack.search.records import COUNTED, SEARCH, Measurement, Outcome, Result, Status

MOST_STRIKES = 3
# The only cause for giving a task back that does not count against it.
INTERRUPTED = "interrupted"


class LeaseLost(Exception):  # noqa: N818 - not a fault: another worker has the task
    """The worker no longer holds the task: drop it, write nothing, claim the next."""


def mine(task_id: int, token: str | None) -> ColumnElement[bool]:
    """Return the condition that this attempt still holds the task."""
    held = (tasks.c.token == token) & (tasks.c.status == Status.RUNNING)
    return (tasks.c.task_id == task_id) & held


def write(connection: Connection, task_id: int, token: str | None, /, **values: Any) -> TaskRow:
    """Update columns of a leased task and return its row.

    Raises:
        LeaseLost: The token is no longer the task's.
    """
    row = connection.execute(
        update(tasks).where(mine(task_id, token)).values(**values).returning(tasks)
    ).first()
    if row is None:
        raise LeaseLost(f"task {task_id}")
    return task_of(row)


def owned(connection: Connection, task_id: int, token: str | None, outcome: str = "") -> TaskRow:
    """Return a leased task's row, in a durable transaction that locks its study if necessary.

    A search trial that ends with a counted outcome keeps its place in the budget, so it needs no
    lock. Every other ending changes the study's row or the confirmation plan.

    Args:
        connection: The transaction.
        task_id: Id of the task.
        token: Token of the lease.
        outcome: The outcome with which the task is about to end; empty if it does not end.

    Raises:
        LeaseLost: The token is no longer the task's.
    """
    durable(connection)
    found = connection.execute(select(tasks).where(mine(task_id, token))).first()
    if found is None:
        raise LeaseLost(f"task {task_id}")
    row = task_of(found)
    if row.kind != SEARCH or outcome not in COUNTED:
        locked(connection, row.study_id)
    return row


def heartbeat(
    engine: Engine, worker_id: int, state: str, held: tuple[int, str] | None, seconds: float
) -> str | None:
    """Record a heartbeat and renew the worker's lease.

    Args:
        engine: The database.
        worker_id: Id of the worker.
        state: The worker's state as `status` shows it.
        held: Id and token of the leased task, if any.
        seconds: Duration of the lease from now.

    Returns:
        The study's requested state (go, pause, stop, cancel); None if the lease is lost.

    Raises:
        WorkerRemoved: The worker's row was removed; the lease was not renewed.
    """
    with engine.begin() as connection:
        study_id = connection.execute(
            update(workers)
            .where(workers.c.worker_id == worker_id)
            .values(seen_at=func.now(), state=state, left_at=None)
            .returning(workers.c.study_id)
        ).scalar()
        if study_id is None:
            raise WorkerRemoved(f"worker {worker_id}")
        if held is not None:
            # A task whose worker's row was removed is its worker's again.
            renewed = {"lease_until": seconds_from_now(seconds), "worker_id": worker_id}
            if not connection.execute(update(tasks).where(mine(*held)).values(renewed)).rowcount:
                return None
        return connection.execute(
            select(studies.c.requested_state).where(studies.c.study_id == study_id)
        ).scalar_one()


def record(
    connection: Connection, task_id: int, token: str | None, news: Sequence[Measurement]
) -> None:
    """Write the measurements of epochs; repeating a write is harmless.

    Raises:
        LeaseLost: The token is no longer the task's.
    """
    query = select(tasks.c.curve, tasks.c.train_curve).where(mine(task_id, token))
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        raise LeaseLost(f"task {task_id}")
    curve, train = list(row.curve), list(row.train_curve)
    for measured in news:
        for losses, loss in ((curve, measured.minimized), (train, measured.train_loss)):
            losses.extend([math.nan] * (measured.epoch - len(losses)))
            losses[measured.epoch - 1] = loss
    values = {"curve": curve, "train_curve": train}
    connection.execute(update(tasks).where(tasks.c.task_id == task_id).values(values))


def columns_of(result: Result) -> dict[str, Any]:
    """Return the columns of a task that hold its result."""
    values: dict[str, Any] = {
        "outcome": result.outcome,
        "value": result.value,
        "best_epoch": result.best_epoch,
        "metrics": json_safe(result.metrics),
        "seconds": json_safe(result.seconds),
        "artifacts": dict(result.artifacts),
        "found": json_safe(result.payload),
        "cause": result.cause,
    }
    if result.measurements:
        values["curve"] = [m.minimized for m in result.measurements]
        values["train_curve"] = [m.train_loss for m in result.measurements]
    return values


def finish(engine: Engine, task_id: int, token: str | None, result: Result) -> TaskRow:
    """End a task with its result.

    Raises:
        LeaseLost: The token is no longer the task's.
    """
    with engine.begin() as connection:
        owned(connection, task_id, token, result.outcome)
        return end(connection, task_id, token, columns_of(result))


def end(connection: Connection, task_id: int, token: str | None, values: dict[str, Any]) -> TaskRow:
    """End an `owned` task, and update its place in the budget and its attempt."""
    values = {**values, "status": Status.DONE, "lease_until": None, "finished_at": func.now()}
    row = write(connection, task_id, token, **values)
    if row.kind == SEARCH and row.outcome not in COUNTED:
        held, failed = studies.c.held - 1, studies.c.failed + 1
        change(connection, row.study_id, held=held, failed=failed)
    outcome = str(row.outcome)
    end_attempt(connection, row, outcome, row.cause)
    record_event(connection, row, outcome, row.cause)
    return row


def end_attempt(connection: Connection, row: TaskRow, ending: str, cause: str | None) -> None:
    connection.execute(
        update(attempts)
        .where(attempts.c.task_id == row.task_id, attempts.c.attempt == row.attempts)
        .values(ended_at=func.now(), ending=ending, cause=cause)
    )


def give_back(engine: Engine, task_id: int, token: str | None, cause: str) -> TaskRow:
    """Return the task to the queue; a cause other than INTERRUPTED counts against it.

    Returns:
        The task's row: waiting, or failed after MOST_STRIKES such causes.

    Raises:
        LeaseLost: The token is no longer the task's.
    """
    with engine.begin() as connection:
        return requeue(connection, owned(connection, task_id, token), cause)


def requeue(connection: Connection, row: TaskRow, cause: str) -> TaskRow:
    """Return a running task to the queue, or fail it after MOST_STRIKES causes.

    The caller's transaction must hold the lock on the study's row.
    """
    strikes = row.strikes + (cause != INTERRUPTED)
    if strikes >= MOST_STRIKES:
        why = f"{cause} (attempt {row.attempts}, the last)"
        values = {"outcome": Outcome.FAILED, "cause": why, "strikes": strikes}
        return end(connection, row.task_id, row.token, values)
    free = {"status": Status.WAITING, "token": None, "lease_until": None}
    back = write(connection, row.task_id, row.token, strikes=strikes, cause=cause, **free)
    end_attempt(connection, row, "given back", cause)
    record_event(connection, row, "given back", cause)
    return back
