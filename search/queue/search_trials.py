"""Search trials as samplers, pruners and Optuna's tools see them, read from the fleet's tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.sql import ColumnElement

from trainstack.search.database.schema import tasks
from trainstack.search.evidence.constraints import Constraint
from trainstack.search.payloads import SearchPayload
from trainstack.search.records import SEARCH, Outcome, Status
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class SearchTrial:
    """A search trial that a worker has begun at least once.

    Attributes:
        task_id: Id of its task.
        number: Its number in the study.
        status: `waiting`, `running` or `done`.
        outcome: Its outcome; None before it ends.
        value: Validation loss of its best epoch; None if there is none.
        stack: The stack; None before it is drawn.
        parameters: The stack in the space's parameters; None before it is drawn, and if the stack
            is outside the space.
        curve: Validation loss per epoch of the current attempt.
        folds: Objective of each fold that was trained; empty without folds.
        attempts: Number of attempts, from 1.
        cached_of: Id of the task of an equal stack whose result was copied; None if it was trained.
        started: Time at which the current attempt was claimed.
        ended: Time at which it ended; None before.
    """

    task_id: int
    number: int
    status: Status
    outcome: Outcome | None
    cause: str | None
    value: float | None
    stack: Stack | None
    parameters: Mapping[str, Any] | None
    label: str | None
    seed: int
    curve: tuple[float, ...]
    folds: tuple[float, ...]
    metrics: Mapping[str, float]
    attempts: int
    cached_of: int | None
    started: datetime | None
    ended: datetime | None


_COLUMNS: tuple[Any, ...] = (
    *(tasks.c.task_id, tasks.c.number, tasks.c.status, tasks.c.outcome, tasks.c.cause),
    *(tasks.c.value, tasks.c.stack, tasks.c.payload, tasks.c.label, tasks.c.seed, tasks.c.curve),
    *(
        tasks.c.metrics,
        tasks.c.found["folds"].label("folds"),
        tasks.c.attempts,
        tasks.c.cached_of,
        tasks.c.claimed_at,
        tasks.c.finished_at,
    ),
)


def _trial_of(row: Any) -> SearchTrial:
    return SearchTrial(
        task_id=row.task_id,
        number=row.number,
        status=Status(row.status),
        outcome=None if row.outcome is None else Outcome(row.outcome),
        cause=row.cause,
        value=row.value,
        stack=Stack.from_json(row.stack) if row.stack else None,
        parameters=SearchPayload.from_json(row.payload).parameters,
        label=row.label,
        seed=row.seed,
        curve=tuple(row.curve),
        folds=tuple(row.folds or ()),
        metrics=row.metrics,
        attempts=row.attempts,
        cached_of=row.cached_of,
        started=row.claimed_at,
        ended=row.finished_at,
    )


def read_trials(
    connection: Connection, study_id: int, *only: ColumnElement[bool]
) -> list[SearchTrial]:
    """Read the search trials of a study that satisfy all conditions, by number."""
    query = (
        select(*_COLUMNS)
        .where(tasks.c.study_id == study_id, tasks.c.kind == SEARCH)
        .where(tasks.c.number.is_not(None), *only)
        .order_by(tasks.c.number)
    )
    return [_trial_of(row) for row in connection.execute(query)]


def trials_since(
    connection: Connection, study_id: int, last: int, also: Collection[int] = ()
) -> list[SearchTrial]:
    """Read the search trials with a number above `last`, and those whose numbers are in `also`."""
    if not also:
        return read_trials(connection, study_id, tasks.c.number > last)
    return read_trials(
        connection, study_id, (tasks.c.number > last) | tasks.c.number.in_(list(also))
    )


def trials_to_remember(
    connection: Connection,
    study_id: int,
    latest: int,
    best: int,
    constraints: Sequence[Constraint] = (),
) -> list[SearchTrial]:
    """Read a bounded selection of a study's search trials.

    Args:
        connection: The transaction.
        study_id: Id of the study.
        latest: Number of trials to read from the end.
        best: Number of completed trials to read among the earlier ones, by least loss, of those
            that keep the constraints.
        constraints: Constraints of the study.

    Returns:
        The latest trials, the best of the earlier ones and those that have not ended, by number.
    """
    mine = (tasks.c.study_id == study_id) & (tasks.c.kind == SEARCH)
    newest = select(tasks.c.number).where(mine, tasks.c.number.is_not(None))
    last = connection.execute(
        newest.order_by(tasks.c.number.desc()).offset(latest).limit(1)
    ).scalar()
    if last is None:
        return trials_since(connection, study_id, -1)
    earlier = mine & (tasks.c.number <= last)
    unfinished = newest.where(earlier, tasks.c.status != Status.DONE)
    ranked = (
        select(tasks.c.number, tasks.c.metrics)
        .where(earlier, tasks.c.outcome == Outcome.COMPLETED)
        .order_by(tasks.c.value, tasks.c.number)
    )
    with connection.execute(ranked, execution_options={"stream_results": True}) as rows:
        allowed = (row.number for row in rows if keeps(constraints, row.metrics))
        found = {*islice(allowed, best)}
    return trials_since(connection, study_id, last, found | {*connection.scalars(unfinished)})


def keeps(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> bool:
    """Return whether a trial violates no constraint whose figure is known."""
    gaps = [constraint.violation(metrics) for constraint in constraints]
    return all(gap is None or gap <= 0.0 for gap in gaps)


def fold_values(connection: Connection, study_id: int, most: int = 200) -> list[list[float]]:
    """Return the objectives of all folds of the best search trials that trained every fold.

    Args:
        connection: The transaction.
        study_id: Id of the study.
        most: Number of trials to read at most, those of least mean.

    Returns:
        One list for each trial, in the order of the folds, the best trial first.
    """
    finished = (
        select(tasks.c.found["folds"].label("folds"))
        .where(tasks.c.study_id == study_id, tasks.c.kind == SEARCH)
        .where(tasks.c.outcome == Outcome.COMPLETED, tasks.c.cached_of.is_(None))
        .where(tasks.c.found.has_key("folds"))
        .order_by(tasks.c.value, tasks.c.number)
        .limit(most)
    )
    return [list(row.folds) for row in connection.execute(finished)]
