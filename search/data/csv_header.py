"""Whether the first line of a CSV file names its columns."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainstack.search.data.column_names import shown
from trainstack.search.data.spelling import decide, numbers_of
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

# Begins the name of a column without one, as in pandas.
UNNAMED = "Unnamed: "


def check_header(frame: pd.DataFrame, file: str) -> None:
    """Reject a first line that looks like a row of data instead of names.

    A row holds a number where its column does: a first line that names a column of numbers is none.

    Args:
        frame: The table; every cell is a text.
        file: The file, as messages name it.

    Raises:
        RequestError: It looks like a row; the message shows what is no name.
    """
    names = [str(name) for name in frame.columns]
    numbers = [name for name in names if numbers_of([name])]
    looks_like_row = len(numbers) == len(names) and not _counts(names)
    odd = [name for name in names if not name.isdigit() and _holds_its_name(frame[name])]
    if looks_like_row or (odd and not any(_names_numbers(frame[name]) for name in names)):
        odd_name = shown((odd or numbers)[0])
        raise RequestError(
            f"the first line of {file} looks like a row: {odd_name} is not a column name",
            "a first line of column names",
            "add one, or rename the column",
        )


def _counts(names: Sequence[str]) -> bool:
    """Tell whether at least three names are consecutive whole numbers, such as years."""
    if len(names) < 3 or not all(name.isdecimal() for name in names):
        return False
    return all(int(b) - int(a) == 1 for a, b in itertools.pairwise(names))


def _names_numbers(column: pd.Series) -> bool:
    """Tell whether a column holds numbers and its name is not a number."""
    name = str(column.name)
    if decide([name]).kind == "number" or name.startswith(UNNAMED):
        return False
    return decide(set(column)).kind == "number"


def _holds_its_name(column: pd.Series) -> bool:
    """Tell whether a column's name is one of its values, unless it only marks rows."""
    same = column == str(column.name)
    empty = column == ""
    ticks = bool((same | empty).all()) and bool(empty.any())
    return bool(same.any()) and not ticks
