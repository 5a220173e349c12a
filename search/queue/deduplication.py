"""Reuse of results: a stack that was trained before is not trained again."""

from __future__ import annotations

import math

from sqlalchemy import Engine, select

from trainstack.search.database.schema import tasks
from trainstack.search.queue.attempts import columns_of, end, owned
from trainstack.search.queue.rows import TaskRow, task_of
from trainstack.search.records import SEARCH, Measurement, Outcome, Result


def finish_as_duplicate(engine: Engine, row: TaskRow) -> bool:
    """End a task with the result of the first completed search trial of an equal stack.

    Args:
        engine: The database.
        row: A leased task whose stack is known.

    Returns:
        Whether there is such a trial.

    Raises:
        LeaseLost: The worker no longer holds the task.
    """
    with engine.begin() as connection:
        found = connection.execute(
            select(tasks)
            .where(tasks.c.study_id == row.study_id, tasks.c.stack_id == row.stack_id)
            .where(tasks.c.kind == SEARCH, tasks.c.outcome == Outcome.COMPLETED)
            .where(tasks.c.cached_of.is_(None), tasks.c.task_id != row.task_id)
            .order_by(tasks.c.task_id)
            .limit(1)
            # `void` waits for this lock, and then voids the copy as well.
            .with_for_update(read=True, key_share=True)
        ).first()
        if found is None:
            return False
        duplicate = task_of(found)
        owned(connection, row.task_id, row.token, Outcome.COMPLETED)
        values = columns_of(_copy(duplicate)) | {"cached_of": duplicate.task_id}
        end(connection, row.task_id, row.token, values)
        return True


def _copy(duplicate: TaskRow) -> Result:
    curves = enumerate(zip(duplicate.train_curve, duplicate.curve, strict=True), start=1)
    measurements = tuple(Measurement(i, t, v, math.nan) for i, (t, v) in curves)
    cause = f"cached: the same stack as trial {duplicate.number}"
    return Result(
        Outcome.COMPLETED,
        duplicate.value,
        duplicate.best_epoch,
        measurements,
        duplicate.metrics,
        {},
        cause,
    )
