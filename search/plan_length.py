"""Default length of a trial: a number of updates, converted to epochs by the number of rows.

Measured on eight tables of 768 to 20,640 rows (docs/training-length.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from trainstack.search.metrics.table import CLASSIFICATION, MULTILABEL, REGRESSION
from trainstack.spaces.domains import Choices, Range
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

# Updates in a whole plan, for the middle batch size of the space. Classifiers overfit before
# regressions level off.
UPDATES = {CLASSIFICATION: 4_000, MULTILABEL: 4_000, REGRESSION: 8_000}
# Bounds on the epochs of a plan.
LEAST_EPOCHS, MOST_EPOCHS = 30, 256


def training_rows(dataset: Any, folds: int = 1, seed: int = 0) -> int:
    """Return the number of training rows of a data set, without those held out.

    Args:
        dataset: The data.
        folds: Folds of a trial; the number is then the mean over them.
        seed: Seed of their division.
    """
    if folds == 1:
        return len(dataset.division.positions(0)["train"])
    each = dataset.division.folds(folds, 1, seed)
    return round(sum(len(rows["train"]) for rows in each) / folds)


def default_epochs(task: str, rows: int, batch_sizes: Iterable[float]) -> int:
    """Return the most epochs of a trial for a number of training rows.

    Args:
        task: `classification`, `multilabel` or `regression`.
        rows: Training rows, at least 1.
        batch_sizes: Possible batch sizes, at least one; the geometric mean of the extremes
            determines the updates per epoch.
    """
    sizes = tuple(batch_sizes)
    updates = max(1.0, rows / math.sqrt(min(sizes) * max(sizes)))
    return max(LEAST_EPOCHS, min(MOST_EPOCHS, round(UPDATES[task] / updates)))


def batch_sizes(space: Space, stacks: Sequence[Stack] = ()) -> tuple[float, ...]:
    """Return the batch sizes of given stacks; without stacks, those of a space."""
    if stacks:
        return tuple(stack["batch_size"] for stack in stacks)
    domain = space.numbers["batch_size"]
    if isinstance(domain, Choices):
        return domain.values
    return (domain.low, domain.high) if isinstance(domain, Range) else (domain.value,)
