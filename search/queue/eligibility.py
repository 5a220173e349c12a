"""Queries for the task that may be claimed next."""

from __future__ import annotations

import functools
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, func, select
from sqlalchemy.sql import ColumnElement

from trainstack.search.database.schema import tasks, workers
from trainstack.search.queue.rows import StudyRow
from trainstack.search.queue.study_store import CONFIRMING, GO, MOST_FAILURES, SEARCHING, STOP
from trainstack.search.records import CONFIRMATION, MEASUREMENT, REFIT, SEARCH, Status

_WORKER = bindparam("worker_id")
# Conditions on a task: this worker did not run out of memory with it; nor did it fail it.
ROOM = tasks.c.avoided_worker.is_distinct_from(_WORKER)
NOT_FAILED = ROOM & (tasks.c.worker_id.is_distinct_from(_WORKER) | (tasks.c.strikes == 0))

_SILENT = func.extract("epoch", func.clock_timestamp() - workers.c.seen_at)
# Built once, as building it takes longer than to run it.
_OTHERS = (
    select(func.count())
    .select_from(workers)
    .where(workers.c.study_id == bindparam("study_id"), workers.c.worker_id != _WORKER)
    # A heartbeat that is as far ahead, if the database's clock was set back, is no sign of life.
    .where(workers.c.left_at.is_(None), func.abs(_SILENT) <= bindparam("alive_seconds"))
)


def seconds_from_now(seconds: float) -> ColumnElement[Any]:
    """Return the time `seconds` from now, by the database's clock."""
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, float(seconds))


def open_to_search(connection: Connection, study: StudyRow) -> bool:
    """Return whether a search trial may start now, by the database's clock."""
    searching = study.phase == SEARCHING and study.requested_state == GO
    if not searching or study.failed >= max(MOST_FAILURES, study.trials):
        return False
    if study.deadline_at is None:
        return True
    return connection.execute(select(func.clock_timestamp())).scalar_one() < study.deadline_at


def other_workers(
    connection: Connection, study_id: int, worker_id: int, alive_seconds: float
) -> int:
    """Return the number of other workers that have sent a heartbeat within `alive_seconds`."""
    named = {"study_id": study_id, "worker_id": worker_id, "alive_seconds": float(alive_seconds)}
    return connection.execute(_OTHERS, named).scalar_one()


def kinds_open(connection: Connection, study: StudyRow, search: bool) -> list[str]:
    """Return the kinds of task that may start now; refits only until the measurement has ended."""
    kinds: list[str] = [SEARCH] if search else []
    if study.phase == CONFIRMING and study.requested_state in (GO, STOP):
        # After `stop`, the confirmed stack is still measured.
        kinds += [MEASUREMENT, REFIT] if _measuring(connection, study.study_id) else []
        kinds += [CONFIRMATION] if study.requested_state == GO else []
    return kinds


def _measuring(connection: Connection, study_id: int) -> bool:
    """Return whether the measurement is waiting or running."""
    mine = (tasks.c.study_id == study_id) & (tasks.c.kind == MEASUREMENT)
    open_ = tasks.c.status.in_([Status.WAITING, Status.RUNNING])
    return connection.execute(select(tasks.c.task_id).where(mine, open_)).first() is not None


def next_waiting(
    connection: Connection,
    study_id: int,
    worker_id: int,
    kinds: list[str],
    *only: ColumnElement[bool],
) -> int | None:
    """Return the id of the next waiting task, if any, in the order described at `claim`.

    Args:
        connection: Transaction that holds the lock on the study's row.
        study_id: Id of the study.
        worker_id: Id of the claiming worker.
        kinds: Kinds of task to consider.
        only: Further conditions on the task: ROOM, NOT_FAILED.
    """
    named = {"study_id": study_id, "worker_id": worker_id, "kinds": kinds}
    return connection.execute(_next(*only), named).scalar()


@functools.cache
def _next(*only: ColumnElement[bool]) -> Select[Any]:
    """Build the query of `next_waiting`, which takes longer than to run it."""
    study_id = bindparam("study_id")
    places = {MEASUREMENT: 0, REFIT: 1, CONFIRMATION: 2, SEARCH: 3}
    order = case({str(kind): place for kind, place in places.items()}, value=tasks.c.kind)
    begun = tasks.alias("begun")
    confirmed = (begun.c.study_id == study_id) & (begun.c.kind == CONFIRMATION)
    own = select(begun.c.stack_id).where(confirmed, begun.c.worker_id == _WORKER)
    any_worker = select(begun.c.stack_id).where(confirmed, begun.c.worker_id.is_not(None))
    mine, new = tasks.c.stack_id.in_(own), tasks.c.stack_id.not_in(any_worker)
    again = case((mine, 0), (new, 1), else_=2)
    return (
        select(tasks.c.task_id)
        .where(tasks.c.study_id == study_id, tasks.c.status == Status.WAITING)
        .where(tasks.c.kind.in_(bindparam("kinds", expanding=True)), *only)
        .order_by(
            order,
            (tasks.c.attempts > 0).desc(),
            case((tasks.c.kind == CONFIRMATION, again), else_=0),
            tasks.c.task_id,
        )
        .limit(1)
    )
