"""Faults of a column's cells, each reported in one line."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.data.column_names import shown
from trainstack.search.data.odd_texts import (
    ambiguous_dates,
    odd_among_dates,
    odd_among_numbers,
)
from trainstack.search.data.spelling import Spelling
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

_FLOAT32_MAX = float(np.finfo(np.float32).max)

# Maps a row of the table to its position in the file, in words.
Place = Callable[[int], str]


def check_numbers(values: np.ndarray, rows: Any, what: str, place: Place) -> None:
    """Reject infinity and numbers beyond float32; NaN is a missing value.

    Args:
        values: [N].
        rows: The rows' numbers in the file, [N].
        what: Description of the column.
        place: Describes the position of a row in the file.

    Raises:
        RequestError: There are such values; the message gives their number and the first position.
    """
    bad = np.abs(values) > _FLOAT32_MAX
    if bad.any():
        first = int(bad.argmax())
        raise RequestError(
            f"{what} holds {int(bad.sum())} value(s) that are infinite or beyond float32 "
            f"(the first, {values[first]:g}, in {place(int(rows[first]))})",
            "finite numbers",
            "correct or empty those cells",
        )


def check_values(column: pd.Series, name: str, file: str) -> None:
    """Reject durations and nested values.

    Raises:
        RequestError: There are such values.
    """
    from datetime import date, time

    from pandas.api.types import is_timedelta64_dtype

    held: Any = column.dropna().astype(object)
    kinds = (str, bool, int, float, np.number, np.bool_, date, time)
    odd = next((value for value in held if not isinstance(value, kinds)), None)
    if odd is not None or is_timedelta64_dtype(column):
        raise RequestError(
            f"column {shown(name)} of {file} holds {type(odd).__name__} values",
            "numbers, booleans, dates or text",
            "convert it, or leave it out with --drop",
        )


def refuse_ambiguous(spelling: Spelling, texts: Collection[str], name: str, file: str) -> None:
    """Reject dates of which day and month are ambiguous.

    Raises:
        RequestError: They are; the message shows one.
    """
    if spelling.kind == "date" and ambiguous_dates(spelling, texts):
        raise RequestError(
            f"column {shown(name)} of {file} holds dates such as '{max(texts)}', in which "
            "day and month are ambiguous",
            "dates such as 2024-01-31",
            "rewrite them, or leave the column out with --drop",
        )


def refuse_nearly_numbers(
    texts: Collection[str], what: str, hint: str = "correct or empty those cells"
) -> None:
    """Reject numbers or dates mixed with a few texts.

    Raises:
        RequestError: There are such texts; the message names one.
    """
    for kind, find in (("numbers", odd_among_numbers), ("dates", odd_among_dates)):
        odd = find(sorted(texts))
        if odd is not None:
            raise RequestError(
                f"{what} is mostly {kind} but holds text such as '{odd}'",
                f"{kind} only, in one format",
                hint,
            )
