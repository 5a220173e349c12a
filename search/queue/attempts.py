"""Leases: claim a task, keep it, write to it, end it, and take it from whoever fell silent.

A claim hands out a token. Every later write names it, and a write whose token is no longer the
task's changes nothing and raises `LeaseLost`: whoever was cut off cannot overwrite.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, func, insert, or_, select, update
from sqlalchemy.sql import ColumnElement

from trainstack.search.database.schema import attempts, durable, studies, tasks, workers
from trainstack.search.queue.eligibility import (
    is_only_worker,
    kinds_open,
    next_waiting,
    open_to_search,
    seconds_from_now,
)
from trainstack.search.queue.study_store import change, json_safe, locked, record_event, search_task
from trainstack.search.records import COUNTED, SEARCH, Measurement, Result

MOST_STRIKES = 3
# The one cause of giving back that says nothing against the trial, so that it never adds up.
INTERRUPTED = "interrupted"
# On a task's payload: the worker whose memory did not suffice.
NO_ROOM = "no_room"


class LeaseLost(Exception):  # noqa: N818 - not a fault: the news that somebody else has the task
    """The task is no longer ours: drop it, write nothing, take the next."""


def claim(engine: Engine, study_id: int, worker_id: int | None, seconds: float) -> Row[Any] | None:
    """Take the next task, or open a new place in the budget and take that.

    Order: the measurement, a confirmation, a search trial that was given back, one that was
    enqueued, a new one. What this very worker could not do comes last: another may. Of the
    confirmation's runs those of a stack that it has trained already come first, whose compiled
    program it has, then those of a stack that nobody has begun.

    Args:
        engine: Where.
        study_id: Of which study.
        worker_id: For whom.
        seconds: How long the lease holds without a beat.

    Returns:
        The task's row with its token, or None when there is nothing to do (now).
    """
    with engine.begin() as connection:
        durable(connection)
        study = locked(connection, study_id)
        search = open_to_search(connection, study)
        kinds = kinds_open(study, search)
        elsewhere = or_(tasks.c.worker_id.is_distinct_from(worker_id), tasks.c.strikes == 0)
        task_id = next_waiting(connection, study_id, worker_id, kinds, elsewhere)
        leased = {"status": "running", "worker_id": worker_id, "claimed_at": func.now()}
        leased |= {"token": secrets.token_hex(8), "lease_until": seconds_from_now(seconds)}
        if task_id is None and search and not study.spec["stacks"] and study.held < study.trials:
            new = search_task(study_id, study.spec["seed"], study.opened)
            change(connection, study_id, held=study.held + 1, opened=study.opened + 1)
            begun = insert(tasks).values({**new, **leased, "attempts": 1})
        else:
            if task_id is None:
                room = tasks.c.payload[NO_ROOM].as_integer().is_distinct_from(worker_id)
                anyway = () if is_only_worker(connection, study_id, worker_id, seconds) else (room,)
                task_id = next_waiting(connection, study_id, worker_id, kinds, *anyway)
            if task_id is None:
                return None
            fresh = {"attempts": tasks.c.attempts + 1, "curve": [], "train_curve": []}
            begun = update(tasks).where(tasks.c.task_id == task_id).values({**leased, **fresh})
        row = connection.execute(begun.returning(tasks)).one()
        connection.execute(
            insert(attempts).values(task_id=row.task_id, attempt=row.attempts, worker_id=worker_id)
        )
        timeout = study.spec["timeout_seconds"]
        if row.kind == SEARCH and timeout is not None and study.deadline_at is None:
            # The search takes time from its first trial on, not from when it was asked for.
            change(connection, study_id, deadline_at=seconds_from_now(timeout))
        return row


def mine(task_id: int, token: str) -> ColumnElement[bool]:
    """The fence: this attempt, and it still runs."""
    return and_(tasks.c.task_id == task_id, tasks.c.token == token, tasks.c.status == "running")


def write(connection: Connection, task_id: int, token: str, /, **values: Any) -> Row[Any]:
    """Write columns of a leased task and return its row.

    Raises:
        LeaseLost: The token is no longer the task's.
    """
    row = connection.execute(
        update(tasks).where(mine(task_id, token)).values(**values).returning(tasks)
    ).first()
    if row is None:
        raise LeaseLost(f"task {task_id}")
    return row


def owned(connection: Connection, task_id: int, token: str, outcome: str = "") -> Row[Any]:
    """Return a leased task's row; the transaction will last, and holds its study unless needless.

    A search trial that ends and counts keeps the place that it holds: nobody waits for the others'
    turns to write that. All else that ends changes what the study's row says, or what is planned.

    Args:
        connection: In whose transaction.
        task_id: Which task.
        token: The proof that it is ours.
        outcome: How it is going to end, if it is.

    Raises:
        LeaseLost: The token is no longer the task's.
    """
    durable(connection)
    row = connection.execute(select(tasks).where(mine(task_id, token))).first()
    if row is None:
        raise LeaseLost(f"task {task_id}")
    if row.kind != SEARCH or outcome not in COUNTED:
        locked(connection, row.study_id)
    return row


def heartbeat(
    engine: Engine, worker_id: int, state: str, held: tuple[int, str] | None, seconds: float
) -> str | None:
    """Say that the worker lives, and renew its lease.

    Args:
        engine: Where.
        worker_id: Who.
        state: What `status` shows for it.
        held: The task and its token, if it has one.
        seconds: How long the lease holds from now.

    Returns:
        What people wish of the study (go, pause, stop, cancel), or None if the lease is lost.
    """
    with engine.begin() as connection:
        study_id = connection.execute(
            update(workers)
            .where(workers.c.worker_id == worker_id)
            .values(seen_at=func.now(), state=state, left_at=None)
            .returning(workers.c.study_id)
        ).scalar()
        renewed = (
            held is None
            or connection.execute(
                update(tasks).where(mine(*held)).values(lease_until=seconds_from_now(seconds))
            ).rowcount
        )
        if not renewed or study_id is None:
            return None
        return connection.execute(
            select(studies.c.wish).where(studies.c.study_id == study_id)
        ).scalar_one()


def record(connection: Connection, task_id: int, token: str, news: Sequence[Measurement]) -> None:
    """Write epochs' measurements; writing them again changes nothing.

    Raises:
        LeaseLost: The token is no longer the task's.
    """
    query = select(tasks.c.curve, tasks.c.train_curve).where(mine(task_id, token))
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        raise LeaseLost(f"task {task_id}")
    curve, train = list(row.curve), list(row.train_curve)
    for measured in news:
        for losses, loss in ((curve, measured.valid_loss), (train, measured.train_loss)):
            losses.extend([math.nan] * (measured.epoch - len(losses)))
            losses[measured.epoch - 1] = loss
    values = {"curve": curve, "train_curve": train}
    connection.execute(update(tasks).where(tasks.c.task_id == task_id).values(values))


def finish(
    engine: Engine, task_id: int, token: str, result: Result, cached_of: int | None = None
) -> Row[Any]:
    """End a task with its result.

    Args:
        engine: Where.
        task_id: Which task.
        token: The proof that it is ours.
        result: How it ended.
        cached_of: The task whose result this is, if it was not trained again.

    Raises:
        LeaseLost: The token is no longer the task's.
    """
    values: dict[str, Any] = {
        "outcome": result.outcome,
        "value": result.value,
        "best_epoch": result.best_epoch,
        "metrics": json_safe(result.metrics),
        "seconds": json_safe(result.seconds),
        "artifacts": dict(result.artifacts),
        "found": json_safe(result.payload),
        "cause": result.cause,
        "cached_of": cached_of,
    }
    if result.measurements:
        values["curve"] = [m.valid_loss for m in result.measurements]
        values["train_curve"] = [m.train_loss for m in result.measurements]
    with engine.begin() as connection:
        owned(connection, task_id, token, result.outcome)
        return end(connection, task_id, token, values)


def end(connection: Connection, task_id: int, token: str, values: dict[str, Any]) -> Row[Any]:
    """End a task that is `owned`, and settle its place and its attempt."""
    values = {**values, "status": "done", "lease_until": None, "finished_at": func.now()}
    row = write(connection, task_id, token, **values)
    if row.kind == SEARCH and row.outcome not in COUNTED:
        held, failed = studies.c.held - 1, studies.c.failed + 1
        change(connection, row.study_id, held=held, failed=failed)
    end_attempt(connection, row, row.outcome, row.cause)
    record_event(connection, row, row.outcome, row.cause)
    return row


def end_attempt(connection: Connection, row: Row[Any], ending: str, cause: str | None) -> None:
    connection.execute(
        update(attempts)
        .where(attempts.c.task_id == row.task_id, attempts.c.attempt == row.attempts)
        .values(ended_at=func.now(), ending=ending, cause=cause)
    )


def give_back(engine: Engine, task_id: int, token: str, cause: str) -> Row[Any]:
    """Let others have the task; a cause other than INTERRUPTED counts against it.

    Returns:
        The task's row: waiting, or done and failed when that was one time too many.

    Raises:
        LeaseLost: The token is no longer the task's.
    """
    with engine.begin() as connection:
        return requeue(connection, owned(connection, task_id, token), cause)


def requeue(connection: Connection, row: Row[Any], cause: str) -> Row[Any]:
    """Let a running task wait again, or fail it when that was one time too many.

    The caller's transaction holds the study's row.
    """
    strikes = row.strikes + (cause != INTERRUPTED)
    if strikes >= MOST_STRIKES:
        why = f"{cause} (attempt {row.attempts}, the last)"
        values = {"outcome": "failed", "cause": why, "strikes": strikes}
        return end(connection, row.task_id, row.token, values)
    free = {"status": "waiting", "token": None, "lease_until": None}
    back = write(connection, row.task_id, row.token, strikes=strikes, cause=cause, **free)
    end_attempt(connection, row, "given back", cause)
    record_event(connection, row, "given back", cause)
    return back
