"""Details for a live view beside the status, in a few cheap queries; and one trial's record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select

from trainstack.search.database.schema import events, studies, tasks, workers
from trainstack.search.queue.queries import worker_name
from trainstack.search.queue.study_store import find
from trainstack.search.records import CONFIRMATION, MEASUREMENT, SEARCH, Outcome, Status
from trainstack.spaces.errors import RequestError
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.stack import Stack

# Number of events shown; workers that join or leave appear in a table of their own.
LAST_EVENTS = 5
# Time limit for the completion of names in a shell (libpq waits at least two seconds).
COMPLETION_SECONDS = 2


@dataclass(frozen=True)
class Running:
    """A trial that is running.

    Attributes:
        worker: Name of the worker.
        kind: `search`, `confirmation`, `measurement` or `refit`.
        number: The trial's number; None for a measurement.
        epochs: Epochs completed in this attempt.
        loss: Objective of the last of them; None before the first.
        stack: Its stack; None while it is being sampled, and for a measurement.
    """

    worker: str
    kind: str
    number: int | None
    epochs: int
    loss: float | None
    stack: Stack | None


@dataclass(frozen=True)
class Event:
    """An event: time, kind, subject (`trial 3`, `run 0`) and message."""

    at: datetime
    kind: str
    about: str
    message: str


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of a study.

    Attributes:
        losses: Objectives of completed search trials in the order in which they ended.
        baseline: Loss of the chapter's default in this search; None before it has ended.
        best_stack: Stack of the best search trial so far.
        running: Running trials, oldest first.
        events: The last few, oldest first.
    """

    losses: tuple[float, ...] = ()
    baseline: float | None = None
    best_stack: Stack | None = None
    running: tuple[Running, ...] = ()
    events: tuple[Event, ...] = ()


def read_snapshot(engine: Engine, name: str) -> Snapshot:
    """Return a snapshot of a study.

    Raises:
        StudyError: There is no such study.
    """
    with engine.connect() as connection:
        study = find(connection, name)
        mine = tasks.c.study_id == study.study_id
        done = (tasks.c.kind == SEARCH) & (tasks.c.outcome == Outcome.COMPLETED)
        ended = connection.execute(
            select(tasks.c.value, tasks.c.stack_id)
            .where(mine, done, tasks.c.value.is_not(None))
            .order_by(tasks.c.finished_at, tasks.c.task_id)
        ).all()
        ended = [row for row in ended if math.isfinite(row.value)]
        best = min(ended, key=lambda row: row.value, default=None)
        best_stack = None
        if best is not None:
            query = select(tasks.c.stack).where(mine, done, tasks.c.stack_id == best.stack_id)
            best_stack = Stack.from_json(connection.execute(query.limit(1)).scalar_one())
        running = connection.execute(
            select(tasks, workers.c.host, workers.c.pid)
            .join_from(tasks, workers, tasks.c.worker_id == workers.c.worker_id, isouter=True)
            .where(mine, tasks.c.status == Status.RUNNING)
            .order_by(tasks.c.claimed_at)
        ).all()
        last = connection.execute(
            select(events, tasks.c.number, tasks.c.kind.label("phase"))
            .join_from(events, tasks, events.c.task_id == tasks.c.task_id, isouter=True)
            .where(events.c.study_id == study.study_id, events.c.kind.not_in(["joined", "left"]))
            .order_by(events.c.event_id.desc())
            .limit(LAST_EVENTS)
        ).all()
    return Snapshot(
        losses=tuple(row.value for row in ended),
        baseline=next(
            (row.value for row in ended if row.stack_id == CHAPTER_DEFAULT.stack_id), None
        ),
        best_stack=best_stack,
        running=tuple(_running(row) for row in running),
        events=tuple(Event(e.at, e.kind, _about(e), e.message) for e in reversed(last)),
    )


def _about(event: Row[Any]) -> str:
    if event.number is None:
        return "test set" if event.phase == MEASUREMENT else ""
    return f"{'run' if event.phase == CONFIRMATION else 'trial'} {event.number}"


def _running(row: Row[Any]) -> Running:
    loss = row.curve[-1] if row.curve else None
    known = row.host is not None
    return Running(
        worker=worker_name(row.host, row.pid, row.worker_id) if known else "",
        kind=row.kind,
        number=row.number,
        epochs=len(row.curve),
        loss=loss if loss is not None and math.isfinite(loss) else None,
        stack=Stack.from_json(row.stack) if row.stack and row.number is not None else None,
    )


@dataclass(frozen=True)
class Record:
    """Everything needed to train a trial again, and its first result.

    Attributes:
        number: The trial's number.
        kind: `search` or `confirmation`.
        stack: Its stack.
        seed: Seed of weights, batch order and masks.
        outcome: Its outcome.
        seed_index: Index of a confirmation run's seed; -1 in the search.
        curve: Objective per epoch.
        folds: Objective of each fold that was trained; empty without folds.
        device: Such as `cpu` or `gpu:0`; empty if unknown.
        threads: Number of threads used; 0: one per core.
        duplicate_of: Number of the trial that this result was copied from, if any.
    """

    number: int
    kind: str
    stack: Stack
    seed: int
    outcome: str
    seed_index: int
    curve: tuple[float, ...]
    folds: tuple[float, ...]
    device: str
    threads: int
    duplicate_of: int | None = None


def record(engine: Engine, name: str, number: int, kind: str = SEARCH) -> Record:
    """Return the record of a trial that has ended.

    Raises:
        RequestError: There is no such trial, or it has no epoch to reproduce.
        StudyError: There is no such study.
    """
    what = "trial" if kind == SEARCH else "confirmation run"
    rows = select(tasks, workers.c.device, workers.c.threads).join_from(
        tasks, workers, tasks.c.worker_id == workers.c.worker_id, isouter=True
    )
    with engine.connect() as connection:
        task_id = _task_id(connection, name, number, kind)
        row = connection.execute(rows.where(tasks.c.task_id == task_id)).one()
        shown, duplicate_of = row.outcome or row.status, None
        if row.cached_of is not None:
            row = connection.execute(rows.where(tasks.c.task_id == row.cached_of)).one()
            duplicate_of = row.number
    if row.status != Status.DONE or not row.curve or not row.stack:
        raise RequestError(
            f"{what} {number} is {shown} and has no epoch to compare with",
            "one that has ended and was trained for an epoch at least",
        )
    return Record(
        number=number,
        kind=kind,
        stack=Stack.from_json(row.stack),
        seed=row.seed,
        outcome=shown,
        seed_index=row.seed_index,
        curve=tuple(row.curve),
        folds=tuple(row.found.get("folds", ())),
        device=row.device or "",
        threads=row.threads or 0,
        duplicate_of=duplicate_of,
    )


def trial_exists(engine: Engine, name: str, number: int, kind: str = SEARCH) -> None:
    """Check that a trial exists.

    Raises:
        RequestError: There is no such trial.
        StudyError: There is no such study.
    """
    with engine.connect() as connection:
        _task_id(connection, name, number, kind)


def _task_id(connection: Connection, name: str, number: int, kind: str) -> int:
    study = find(connection, name)
    here = (tasks.c.study_id == study.study_id) & (tasks.c.kind == kind)
    query = select(tasks.c.task_id).where(here, tasks.c.number == number)
    task_id = connection.execute(query.order_by(tasks.c.task_id.desc())).scalar()
    if task_id is None:
        most = connection.execute(select(func.max(tasks.c.number)).where(here)).scalar()
        what = "trial" if kind == SEARCH else "confirmation run"
        there = f"one from 0 to {most}" if most is not None else "one that has begun; none has"
        raise RequestError(f"no {what} {number} in study '{name}'", there)
    return task_id


def moment(engine: Engine) -> dict[str, tuple[Any, ...]]:
    """Return a value per study that changes when one of its trials ends or its state changes."""
    ended = func.count(tasks.c.task_id).filter(tasks.c.status == Status.DONE)
    columns = (studies.c.phase, studies.c.requested_state, studies.c.voided, studies.c.trials)
    with engine.connect() as connection:
        rows = connection.execute(
            select(studies.c.name, *columns, ended)
            .join_from(studies, tasks, studies.c.study_id == tasks.c.study_id, isouter=True)
            .group_by(studies.c.study_id)
        )
        return {row[0]: tuple(row[1:]) for row in rows}


def names() -> list[str]:
    """Return the names of the studies in the storage that the environment names.

    An embedded server that is not running is not started, and a slow server is not waited for.

    Raises:
        DBAPIError: The database does not answer.
        RequestError: The environment names no PostgreSQL.
    """
    import os

    from sqlalchemy import create_engine

    from trainstack.search.database.connection import STORAGE, home, parse_url
    from trainstack.search.database.embedded_postgres import url_of

    url = parse_url(os.environ.get(STORAGE) or url_of(home() / "postgres"))
    # Not the shared engine, which waits longer for a connection than a completion may take.
    here = create_engine(url, connect_args={"connect_timeout": COMPLETION_SECONDS})
    try:
        with here.connect() as connection:
            return list(
                connection.execute(select(studies.c.name).order_by(studies.c.name)).scalars()
            )
    finally:
        here.dispose()
