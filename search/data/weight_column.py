"""The column of a table with the weights of its rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainstack.search.data.column_names import column_named, shown
from trainstack.search.data.columns import Column, as_text
from trainstack.search.data.spelling import Spelling, numbers_of
from trainstack.search.data.text_values import to_numbers
from trainstack.search.data.weighting import check_weights
from trainstack.spaces.errors import RequestError

# What becomes of the column.
WEIGHT = "the rows' weights"


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of a table's rows, as read.

    Attributes:
        values: The weights, float64 [N].
        python: The Python expression that computes them from the frame's rows.
        notes: Notes for the user.
    """

    values: np.ndarray
    python: str
    notes: tuple[str, ...] = ()


def weight_named(weight: str, names: Sequence[str], targets: Sequence[str], file: str) -> str:
    """Return the column that `--weight` names.

    Raises:
        RequestError: There is none, or it is a target.
    """
    found = column_named(weight, names, "--weight", file)
    if found in targets:
        raise RequestError(f"--weight {shown(found)} is the target", "another column")
    return found


def read_weights(
    column: Any, name: str, place: Callable[[int], str], comma: bool = False
) -> Weights:
    """Read the weights of a table's rows: numbers, written in any format that features may have.

    Args:
        column: The cells, indexed by their row.
        name: Name of the column.
        place: Describes the position of a row in the file.
        comma: Whether columns of the file have decimal commas.

    Raises:
        RequestError: A cell is missing or no number, a weight is negative, or all are 0.
    """
    from pandas.api.types import is_numeric_dtype

    texts, words = as_text(column), ""
    if is_numeric_dtype(column):
        values = np.asarray(column.astype("float64"))
        python = f'frame[{name!r}].astype("float64").to_numpy()'
    else:
        spelling = _numbers(set(texts) - {""}, comma)
        values, words = np.array(to_numbers(texts, **spelling.arguments())), spelling.in_words()
        options = "".join(f", {key}={value!r}" for key, value in spelling.arguments().items())
        python = f"np.array(to_numbers(as_text(frame[{name!r}]){options}))"
    label = f"the weight {name!r}"
    if (odd := ~np.isfinite(values)).any():
        k = int(np.argmax(odd))
        what = f"is {texts.iloc[k]!r}" if texts.iloc[k] else "is missing"
        raise RequestError(
            f"{label} {what} in {place(column.index[k])}", "a number in every row, written alike"
        )
    if (values < 0).any():
        k = int(np.argmax(values < 0))
        where = place(column.index[k])
        raise RequestError(f"{label} is {values[k]:g} in {where}", "no negative weight")
    check_weights(values, label)
    notes = (f"The weight {shown(name)} is read as {words}.",) if words else ()
    return Weights(values, python, notes)


def _numbers(texts: Collection[str], comma: bool) -> Spelling:
    """Return the format of numbers; others, or all if they have no common format, are missing."""
    if marks := numbers_of(texts, comma):
        return Spelling("number", **marks)
    others = [text for text in texts if not numbers_of([text], comma)]
    return Spelling("number", missing=tuple(others or texts))


def described(name: str, weights: np.ndarray) -> Column:
    """Return the description of the column, which is no feature."""
    return Column(name, "number", 0.0, len(np.unique(weights)), used=False, why=WEIGHT)
