"""Reuse of results: a stack that was trained before is not trained again."""

from __future__ import annotations

import math

from sqlalchemy import Engine, select

from trainstack.search.database.schema import tasks
from trainstack.search.queue.rows import TaskRow, task_of
from trainstack.search.records import SEARCH, Measurement, Outcome, Result


def find_finished_duplicate(engine: Engine, row: TaskRow) -> tuple[int, Result] | None:
    """Find a completed search trial of an equal stack.

    Args:
        engine: The database.
        row: A task whose stack is known.

    Returns:
        Id of the first such task and a copy of its result; None if there is none.
    """
    with engine.connect() as connection:
        found = connection.execute(
            select(tasks)
            .where(tasks.c.study_id == row.study_id, tasks.c.stack_id == row.stack_id)
            .where(tasks.c.kind == SEARCH, tasks.c.outcome == Outcome.COMPLETED)
            .where(tasks.c.cached_of.is_(None), tasks.c.task_id != row.task_id)
            .order_by(tasks.c.task_id)
            .limit(1)
        ).first()
    if found is None:
        return None
    duplicate = task_of(found)
    curves = enumerate(zip(duplicate.train_curve, duplicate.curve, strict=True), start=1)
    measurements = tuple(Measurement(i, t, v, math.nan) for i, (t, v) in curves)
    cause = f"cached: the same stack as trial {duplicate.number}"
    return duplicate.task_id, Result(
        Outcome.COMPLETED,
        duplicate.value,
        duplicate.best_epoch,
        measurements,
        duplicate.metrics,
        {},
        cause,
    )
