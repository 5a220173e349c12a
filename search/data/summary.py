"""What the product will do with data, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trainstack.search.data.columns import Column
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.split_words import division_of
from trainstack.search.data.splitting import Split
from trainstack.search.data.target_transform import skewness
from trainstack.search.data.warnings import class_counts, duplicates, warnings_of


@dataclass(frozen=True)
class PartRows:
    """The parts and their numbers of rows.

    Attributes:
        train: Rows that are learnt from.
        valid: Rows by which stacks are compared.
        test: Rows used once, for the recommended stack.
        left_out: Rows in no part, within the gap before a part in time.
    """

    train: int
    valid: int
    test: int
    left_out: int


@dataclass(frozen=True)
class FoldRows:
    """The rows of a fold.

    Attributes:
        train: Rows that are learnt from.
        valid: Rows by which stacks are compared.
        classes: Class → number of those rows; empty if there are no classes.
        first: Time of the first of those rows; null if rows have no times.
        last: Time of the last of them; null likewise.
    """

    train: int
    valid: int
    classes: Mapping[str, int]
    first: str | None
    last: str | None


@dataclass(frozen=True)
class Distribution:
    """The distribution of a target of numbers, in its own unit.

    Attributes:
        mean: Mean.
        deviation: Standard deviation.
        lowest: Lowest value.
        median: Median.
        highest: Highest value.
        skewness: Third standardised moment: 0 if symmetric.
    """

    mean: float
    deviation: float
    lowest: float
    median: float
    highest: float
    skewness: float


@dataclass(frozen=True)
class DataSummary:
    """What the product will do with data.

    Attributes:
        rows: Number of rows that are used, in all parts.
        task: `classification`, `multilabel` or `regression`.
        target: Column to predict, or a list of several; null for data other than tables.
        classes: Class → number of rows; empty in regression. Of labels: `TARGET=VALUE`.
        distribution: Distribution of a single quantity, else null.
        distributions: Target → its distribution, for several quantities.
        columns: Columns other than the target, in the file's order.
        unlabelled: Number of rows without a target that are kept for pretraining, beside `rows`.
        features: Number of the network's inputs.
        duplicates: Number of rows that repeat an earlier one.
        parts: Number of rows of each part, without folds.
        folds: Number of rows of each fold by which a search trial is scored; empty without folds.
        division: How rows become parts.
        warnings: What to consider, one sentence each.
        notes: How columns and target are read, one sentence each.
    """

    rows: int
    task: str
    target: str | tuple[str, ...] | None
    classes: Mapping[str, int]
    distribution: Distribution | None
    distributions: Mapping[str, Distribution]
    columns: tuple[Column, ...]
    unlabelled: int
    features: int
    duplicates: int
    parts: PartRows
    folds: tuple[FoldRows, ...]
    division: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def summary_of(dataset: Dataset, folds: int = 1, repeats: int = 1) -> DataSummary:
    """Return what the product will do with data; parts and folds are those of seed 0.

    Args:
        dataset: The data.
        folds: Folds of a search trial; 1: none.
        repeats: Times that the rows are divided into folds.
    """
    split = dataset.split(0)
    y = np.concatenate([part.y for part in dataset.parts.values()])
    numbers = dataset.task == "regression"
    train, valid, test = (len(part) for part in (split.y_train, split.y_valid, split.y_test))
    each = dataset.division.folds(folds, repeats, 0) if folds > 1 else []
    return DataSummary(
        rows=dataset.rows,
        task=dataset.task,
        target=dataset.target,
        classes=class_counts(dataset),
        distribution=_distribution(y) if numbers and not dataset.targets else None,
        distributions={
            name: _distribution(column)
            for name, column in zip(dataset.targets if numbers else (), y.T, strict=False)
        },
        columns=_of_table(dataset, split) if dataset.is_table else _of_arrays(dataset),
        unlabelled=0 if dataset.unlabelled is None else len(dataset.unlabelled),
        features=split.x_train.shape[1],
        duplicates=duplicates(dataset),
        parts=PartRows(train, valid, test, left_out=dataset.rows - train - valid - test),
        folds=tuple(_fold(dataset, rows) for rows in each),
        division=division_of(dataset, folds),
        warnings=warnings_of(dataset, folds),
        notes=dataset.notes,
    )


def _fold(dataset: Dataset, rows: Mapping[str, np.ndarray]) -> FoldRows:
    held, keys = rows["valid"], dataset.keys
    times = None if keys.times is None else keys.times[held]
    counts = np.bincount(dataset.y[held], minlength=len(dataset.classes)) if dataset.classes else ()
    return FoldRows(
        train=len(rows["train"]),
        valid=len(held),
        classes={name: int(n) for name, n in zip(dataset.classes, counts, strict=True)},
        first=None if times is None else keys.shown_time(float(times.min())),
        last=None if times is None else keys.shown_time(float(times.max())),
    )


def _distribution(y: np.ndarray) -> Distribution:
    return Distribution(
        mean=float(y.mean()),
        deviation=float(y.std()),
        lowest=float(y.min()),
        median=float(np.median(y)),
        highest=float(y.max()),
        skewness=skewness(y),
    )


def _of_table(dataset: Dataset, split: Split) -> tuple[Column, ...]:
    """Return a table's columns with the number of inputs made of each."""
    encoder: Any = split.encoder
    inputs = dict.fromkeys(dataset.numeric, 1)
    for name in next(names for kind, _, names in encoder.transformers_ if kind == "missing"):
        inputs[name] += 1
    inputs |= zip(dataset.text, split.categories, strict=True)
    made = dict.fromkeys((column.name for column in dataset.described), 0)
    for name, count in inputs.items():
        made[dataset.origins.get(name, name)] += count
    return tuple(replace(column, features=made[column.name]) for column in dataset.described)


def _of_arrays(dataset: Dataset) -> tuple[Column, ...]:
    """Return the columns of arrays, all of which are used as they are."""
    x = np.concatenate([part.x for part in dataset.parts.values()])
    found = []
    for name, values in zip(dataset.columns, np.ascontiguousarray(x.T), strict=True):
        levels = np.unique(values)
        kind = "boolean" if np.array_equal(levels, [0, 1]) else "number"
        found.append(
            Column(name, kind, 0.0, len(levels), used=True, why="standardised", features=1)
        )
    return tuple(found)
