"""A study's history for the command line: its events and the attempts at a trial."""

from __future__ import annotations

from sqlalchemy import Engine, select

from trainstack.search.database.schema import attempts, events, tasks
from trainstack.search.queue.queries import reading
from trainstack.search.queue.study_log import Attempt, StudyEvent
from trainstack.search.records import SEARCH, TaskKind


def history(engine: Engine, name: str, after: int = 0) -> list[StudyEvent]:
    """Return a study's events, oldest first.

    Args:
        engine: The database.
        name: Name of the study.
        after: Return only events whose `id` is greater.

    Raises:
        StudyError: There is no such study.
    """
    with reading(engine, name) as (connection, study):
        rows = connection.execute(
            select(events, tasks.c.number, tasks.c.kind.label("phase"))
            .join_from(events, tasks, events.c.task_id == tasks.c.task_id, isouter=True)
            .where(events.c.study_id == study.study_id, events.c.event_id > after)
            .order_by(events.c.event_id)
        )
        return [
            StudyEvent(
                id=row.event_id,
                at=row.at.isoformat(),
                kind=row.kind,
                trial=row.number,
                phase=None if row.phase is None else TaskKind(row.phase),
                message=row.message,
            )
            for row in rows
        ]


def attempts_at(engine: Engine, name: str, number: int) -> list[Attempt]:
    """Return the start and ending of each attempt at a search trial.

    Raises:
        StudyError: There is no such study.
    """
    with reading(engine, name) as (connection, study):
        rows = connection.execute(
            select(attempts)
            .join(tasks, tasks.c.task_id == attempts.c.task_id)
            .where(tasks.c.study_id == study.study_id, tasks.c.kind == SEARCH)
            .where(tasks.c.number == number)
            .order_by(attempts.c.attempt)
        )
        return [
            Attempt(
                attempt=row.attempt,
                started=row.started_at.isoformat(),
                ended=row.ended_at.isoformat() if row.ended_at else None,
                ending=row.ending,
                cause=row.cause,
            )
            for row in rows
        ]
