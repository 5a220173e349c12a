"""Claiming tasks: the next one, and others that can be trained together with it."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, Executable, case, func, insert, select, update

from trainstack.search.database.schema import attempts, durable, tasks
from trainstack.search.queue.attempts import owned
from trainstack.search.queue.eligibility import (
    NOT_FAILED,
    ROOM,
    kinds_open,
    next_waiting,
    open_to_search,
    other_workers,
    seconds_from_now,
)
from trainstack.search.queue.rows import TaskRow, task_of
from trainstack.search.queue.study_store import change, locked, search_task
from trainstack.search.queue.worker_registry import present
from trainstack.search.records import CONFIRMATION, SEARCH, Status
from trainstack.spaces.stack import Stack


def claim(engine: Engine, study_id: int, worker_id: int, seconds: float) -> TaskRow | None:
    """Claim the next task, or open a new place in the budget and claim that.

    Order: the measurement, a refit, a confirmation, a search trial that was given back, one that
    was enqueued, a new one. Tasks that this worker has failed come last. Among confirmation runs,
    those of a stack that the worker has trained come first, as it has the compiled program; then
    those of a stack that no worker has begun.

    Args:
        engine: The database.
        study_id: Id of the study.
        worker_id: Id of the claiming worker.
        seconds: Duration of the lease without a heartbeat.

    Returns:
        The task's row with its token; None if there is nothing to do at present.

    Raises:
        WorkerRemoved: The worker's row was removed.
    """
    with engine.begin() as connection:
        durable(connection)
        study = locked(connection, study_id)
        present(connection, worker_id)
        search = open_to_search(connection, study)
        kinds = kinds_open(connection, study, search)
        task_id = next_waiting(connection, study_id, worker_id, kinds, NOT_FAILED)
        if task_id is None and search and not study.spec["stacks"] and study.held < study.trials:
            new = search_task(study_id, study.spec["seed"], study.opened)
            change(connection, study_id, held=study.held + 1, opened=study.opened + 1)
            leased = _leased(worker_id, seconds) | {"attempts": 1}
            leased |= {"number": next_number(connection, study_id)}
            begun = insert(tasks).values({**new, **leased})
        else:
            if task_id is None:
                others = other_workers(connection, study_id, worker_id, seconds)
                anyway = (ROOM,) if others else ()
                task_id = next_waiting(connection, study_id, worker_id, kinds, *anyway)
            if task_id is None:
                return None
            new_number = case((tasks.c.kind == SEARCH, next_number(connection, study_id)))
            again = _again(worker_id, seconds)
            again |= {"number": func.coalesce(tasks.c.number, new_number)}
            begun = update(tasks).where(tasks.c.task_id == task_id).values(again)
        row = _begun(connection, begun.returning(tasks))
        timeout = study.spec["timeout_seconds"]
        if row.kind == SEARCH and timeout is not None and study.deadline_at is None:
            # The timeout starts with the first trial, not with the creation of the study.
            change(connection, study_id, deadline_at=seconds_from_now(timeout))
        return row


def claim_alike(
    engine: Engine,
    lease: tuple[int, str],
    worker_id: int,
    seconds: float,
    most: int,
    alike: Callable[[Stack, Stack], bool],
) -> list[TaskRow]:
    """Claim more confirmation runs that can be trained together with a leased one.

    They are runs under the same condition. Workers that are alive share the unfinished ones
    equally, so that none is left without work.

    Args:
        engine: The database.
        lease: Id and token of the leased task.
        worker_id: Id of the claiming worker.
        seconds: Duration of each lease without a heartbeat.
        most: Number of runs to claim at most.
        alike: Returns whether two stacks can be trained together.

    Returns:
        The tasks' rows with their tokens, which may be none.

    Raises:
        LeaseLost: The worker no longer holds the task.
        WorkerRemoved: The worker's row was removed.
    """
    with engine.begin() as connection:
        first = owned(connection, *lease)
        present(connection, worker_id)
        study = locked(connection, first.study_id)
        if CONFIRMATION not in kinds_open(connection, study, search=False):
            return []
        of_study = (tasks.c.study_id == first.study_id) & (tasks.c.kind == CONFIRMATION)
        unfinished = select(tasks).where(of_study, tasks.c.status != Status.DONE)
        runs = [
            row
            for row in map(task_of, connection.execute(unfinished.order_by(tasks.c.task_id)))
            if row.payload == first.payload
            and row.stack is not None
            and first.stack is not None
            and alike(row.stack, first.stack)
        ]
        workers_here = 1 + other_workers(connection, first.study_id, worker_id, seconds)
        most = min(most, math.ceil(len(runs) / workers_here) - 1)
        free = [row for row in runs if row.status == Status.WAITING and not row.strikes]
        begin = update(tasks).returning(tasks)
        return [
            _begun(
                connection,
                begin.where(tasks.c.task_id == row.task_id).values(_again(worker_id, seconds)),
            )
            for row in free[:most]
        ]


def _leased(worker_id: int, seconds: float) -> dict[str, Any]:
    """Return the columns of a lease that begins now."""
    leased = {"status": Status.RUNNING, "worker_id": worker_id, "claimed_at": func.now()}
    return leased | {"token": secrets.token_hex(8), "lease_until": seconds_from_now(seconds)}


def _again(worker_id: int, seconds: float) -> dict[str, Any]:
    """Return the columns of a lease of a waiting task."""
    fresh = {"attempts": tasks.c.attempts + 1, "curve": [], "train_curve": []}
    return _leased(worker_id, seconds) | fresh


def _begun(connection: Connection, begun: Executable) -> TaskRow:
    """Lease a task by a statement that returns its row, and record the attempt."""
    row = task_of(connection.execute(begun).one())
    begin = {"task_id": row.task_id, "attempt": row.attempts, "worker_id": row.worker_id}
    connection.execute(insert(attempts).values(begin))
    return row


def next_number(connection: Connection, study_id: int) -> int:
    """Return the number of a study's next search trial; the study's row must be locked."""
    mine = (tasks.c.study_id == study_id) & (tasks.c.kind == SEARCH)
    query = select(func.coalesce(func.max(tasks.c.number) + 1, 0)).where(mine)
    return connection.execute(query).scalar_one()
