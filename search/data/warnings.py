"""What a user should know about data before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from trainstack.search.data.column_names import shown
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.kinds import names_rows
from trainstack.search.data.leaks import GIVES_AWAY, explained
from trainstack.search.data.split_keys import HELD_OUT_FRACTION
from trainstack.search.data.split_words import division_warnings
from trainstack.search.data.splitting import NONE
from trainstack.search.data.target_transform import each_target, skewness, wants_log

# With fewer rows, a class has fewer than five in a test part of one fifth.
FEW_ROWS = 25
# Most columns or classes named in one sentence.
_NAMED = 5


def warnings_of(dataset: Dataset, folds: int = 1) -> tuple[str, ...]:
    """Return one sentence for each thing to consider, first what was noticed when reading.

    They concern columns that give the target away, names of identifiers, classes with few rows, a
    target that wants a logarithm, and rows that occur twice.
    """
    return (*dataset.warnings, *_warnings(dataset, folds))


def _warnings(dataset: Dataset, folds: int) -> Iterator[str]:
    for name, share in explained(dataset).items():
        if share >= GIVES_AWAY:
            hint = f" with --drop {shown(name)}" if dataset.is_table else ""
            yield (
                f"{shown(name)} alone gives the target away (it explains {share:.0%} of it on rows "
                f"held out): unless it is known before the target is, leave it out{hint}."
            )
    for column in dataset.described:
        if (
            column.used
            and column.kind == "number"
            and column.levels > 2
            and names_rows(column.name)
        ):
            yield (
                f"{shown(column.name)} has the name of an identifier and is read as numbers. "
                f"Leave it out with --drop, read it with --categorical, or keep "
                f"rows of one value together with --group."
            )
    counts = class_counts(dataset)
    few = sorted((n, name) for name, n in counts.items() if n < FEW_ROWS)
    if few:
        named = ", ".join(f"'{name}' ({n})" for n, name in few[:_NAMED])
        more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
        yield (
            f"{len(few)} class(es) have fewer than {FEW_ROWS} rows, so fewer than "
            f"{FEW_ROWS * HELD_OUT_FRACTION:.0f} to test with: {named}{more}."
        )
    for target, y in each_target(dataset) if dataset.task == "regression" else ():
        if dataset.transform == NONE and wants_log(y):
            yield (
                f"The target {target} is positive and skewed (skewness {skewness(y):.1f}, of its "
                f"logarithm {skewness(np.log(y)):.1f}): its logarithm may be learnt better, with "
                "--target-transform log."
            )
    yield from division_warnings(dataset, folds)
    if count := duplicates(dataset):
        yield (
            f"{count:,} row(s) ({count / dataset.rows:.1%}) repeat an earlier one, the target "
            "included: copies can be in training and test."
        )


def class_counts(dataset: Dataset) -> dict[str, int]:
    """Return the number of rows of each class, in all parts; empty in regression.

    The classes of labels are named `TARGET=VALUE`.
    """
    if dataset.labels:
        return {
            f"{' '.join(name.split())}={value}": int((y == code).sum())
            for name, (_, y), values in zip(
                dataset.targets, each_target(dataset), dataset.labels, strict=True
            )
            for code, value in enumerate(values)
        }
    if not dataset.classes:
        return {}
    y = np.concatenate([part.y for part in dataset.parts.values()])
    counts = np.bincount(y, minlength=len(dataset.classes))
    return dict(zip(dataset.classes, map(int, counts), strict=True))


def duplicates(dataset: Dataset) -> int:
    """Return how many rows equal an earlier one of any part in all features and the target."""
    seen: set[Any] = set()
    for x, y, _ in dataset.parts.values():
        if dataset.is_table:
            from pandas import util

            hashed: Any = util.hash_pandas_object  # its stub is empty
            rows = hashed(x, index=False).tolist()
        else:
            rows = [hash(row.tobytes()) for row in x]
        targets = y.tolist() if y.ndim == 1 else map(tuple, y.tolist())
        seen.update(zip(rows, targets, strict=True))
    return dataset.rows - len(seen)
