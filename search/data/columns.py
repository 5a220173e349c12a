"""Columns of a table: their kinds, and their conversion to features."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.data.spelling import (
    Spelling,
    alike_but_for_case,
    ambiguous_dates,
    decide,
    numbers_of,
    odd_among_dates,
    odd_among_numbers,
    to_numbers,
)
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

# Most one-hot features per text column; the rarest categories share the last one.
MAX_CATEGORIES = 50
# A text column with more distinct values is taken for free text, not for categories.
MAX_DISTINCT = 1000
# Whole numbers with at most this many distinct values are class labels under `--task auto`.
MAX_AUTO_CLASSES = 20
MISSING = "(missing)"
# With fewer rows an identifier cannot be distinguished from consecutive numbers.
_MIN_IDENTIFIER_ROWS = 20
# N distinct whole numbers within a span of this many times N are taken for row numbers, since as
# many measurements would hardly all differ. The second value is for monotonic columns.
_NEARLY, _NEARLY_IN_ORDER = 2, 5
_NAMES_ROWS = re.compile(
    r"(?:^|[^A-Za-z])(?:[Ii][Dd]|[UuGg][Uu][Ii][Dd])(?:$|[^A-Za-z])|[a-z]I[Dd]$"
)
# A number with a currency sign before it, or a unit after it.
_MARKED = re.compile(r"[$€£¥]\s?[\d.,]+|[\d.,]+\s?(?:[$€£¥°]|[A-Za-z]{1,3})")
_FLOAT32_MAX = float(np.finfo(np.float32).max)

# Maps a row of the table to its position in the file, in words.
Place = Callable[[int], str]


@dataclass(frozen=True, eq=False)
class Feature:
    """A column other than the target.

    Attributes:
        values: float64 with NaN for numbers, or texts with missing ones named.
        spelling: How its texts are read; None for a numeric column.
        is_identifier: Whether it has a distinct value per row, such as a number or name.
        is_useless: Whether it holds at most one value.
        notes: Notes for the user.
        empty: Number of empty cells.
    """

    values: Any
    spelling: Spelling | None
    is_identifier: bool
    is_useless: bool
    notes: tuple[str, ...] = ()
    empty: int = 0

    @property
    def is_number(self) -> bool:
        """True if standardised, false if one-hot."""
        return self.spelling is None or self.spelling.kind != "category"


def as_text(column: Any) -> Any:
    """Return a column's cells as stripped texts; missing ones are empty."""
    texts = column.astype(object).where(column.notna(), "").map(str)
    texts = texts.str.replace("[\u00a0\u202f]", " ", regex=True).str.strip()
    return texts.astype(object)  # plain strings are faster to iterate over


def spelling_notes(column: Any, texts: Any, name: str) -> tuple[str, ...]:
    """Return notes on texts with surrounding blanks and on texts that differ in case only."""
    raw = column[texts != ""].astype(object).map(str)
    spaced = raw[raw != texts[texts != ""]]
    notes = []
    if len(spaced):
        notes.append(
            f"{len(spaced)} value(s) of {shown(name)} such as {spaced.iloc[0]!r} have blanks "
            "around them, which are removed."
        )
    if alike := alike_but_for_case(set(texts)):
        notes.append(
            f"{shown(name)} holds {' and '.join(map(repr, alike))}, which stay distinct: write "
            "them alike if they mean the same."
        )
    return tuple(notes)


def shown(name: str) -> str:
    """Return a column's name in one line, as accepted by `--target`."""
    return "'" + " ".join(name.split()) + "'"


def read_feature(
    column: pd.Series, name: str, file: str, place: Place, typed: bool = False
) -> Feature:
    """Determine the kind of a column and read it.

    Args:
        column: The cells, indexed by their row.
        name: Name of the column.
        file: Name of the file.
        place: Describes the position of a row in the file.
        typed: Whether the file format has numeric columns; then digits of equal length stored as
            text are codes, such as postcodes.

    Raises:
        RequestError: It holds infinities, free text, lists, or ambiguous dates.
    """
    from pandas.api.types import infer_dtype, is_numeric_dtype

    if is_numeric_dtype(column) or infer_dtype(column) == "decimal":
        return _number(column.astype("float64").to_numpy(), None, column, name, file, place)
    _check_values(column, name, file)
    texts = as_text(column)
    spelling = _spelling_of(column, texts, name, file, typed)
    if spelling.kind != "category":
        values = np.array(to_numbers(texts, **spelling.arguments()))
        return _number(values, spelling, column, name, file, place, Counter(texts))
    labels = texts.where(texts != "", MISSING)
    held = texts[texts != ""]
    distinct = held.nunique()
    unique = distinct == len(held) >= _MIN_IDENTIFIER_ROWS
    if not typed or not _are_codes(held):
        refuse_nearly_numbers(set(held), f"column {shown(name)} of {file}")
    if not unique:
        _check_categories(texts, name, file)
    return Feature(
        labels.to_numpy(object),
        spelling,
        is_identifier=unique,
        is_useless=not len(held) or (distinct == 1 and len(held) == len(texts)),
        notes=() if unique else (*spelling_notes(column, texts, name), *_mixture_note(held, name)),
        empty=len(texts) - len(held),
    )


def _are_codes(texts: Collection[str]) -> bool:
    """Tell whether all texts are digits of equal length, at least three, such as postcodes."""
    held = [text for text in texts if text]
    return len({*map(len, held)}) == 1 and len(held[0]) > 2 and all(map(str.isdigit, held))


def _spelling_of(column: pd.Series, texts: Any, name: str, file: str, typed: bool) -> Spelling:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return Spelling()
    distinct = set(texts)
    spelling = decide(distinct)
    if typed and _fit(texts) and _are_codes(distinct):
        return Spelling()
    if spelling.kind == "category" and len(distinct) != len(texts) and not _fit(texts):
        # Codes with too many distinct values for categories.
        number = numbers_of([text for text in distinct if text])
        return Spelling("number", **number) if number else spelling
    if spelling.kind == "date" and ambiguous_dates(spelling, distinct):
        raise RequestError(
            f"column {shown(name)} of {file} holds dates such as '{max(distinct)}', in which "
            "day and month are ambiguous",
            "dates such as 2024-01-31",
            "rewrite them, or drop the column",
        )
    return spelling


def _number(
    values: np.ndarray,
    spelling: Spelling | None,
    column: pd.Series,
    name: str,
    file: str,
    place: Place,
    texts: Counter[str] | None = None,
) -> Feature:
    check_numbers(values, column.index, f"column {shown(name)} of {file}", place)
    held = values[~np.isnan(values)]
    distinct = len(np.unique(held))
    texts = texts or Counter()
    notes = []
    if spelling and (words := spelling.in_words()):
        notes.append(f"Column {shown(name)} is read as {words}.")
    if spelling and spelling.missing:
        words = ", ".join(f"'{word}' ({texts[word]})" for word in spelling.missing)
        notes.append(f"In column {shown(name)} {words} is read as missing.")
    dates = spelling is not None and spelling.kind == "date"
    return Feature(
        values,
        spelling,
        is_identifier=not dates and is_row_number(values, bool(_NAMES_ROWS.search(name))),
        is_useless=distinct == 0 or (distinct == 1 and len(held) == len(values)),
        notes=tuple(notes),
        empty=texts[""] if spelling else len(values) - len(held),
    )


def is_row_number(values: np.ndarray, named: bool = False) -> bool:
    """Tell whether distinct whole numbers are row numbers.

    They are if N of them span at most 2 N, or at most 5 N and are monotonic, or if the column has
    the name of an identifier.

    Args:
        values: [N], in the order of the rows.
        named: Whether the column's name is that of an identifier, such as `customer_id`.

    >>> is_row_number(np.arange(100.0)), is_row_number(np.arange(100.0) ** 2)
    (True, False)
    """
    if len(values) < _MIN_IDENTIFIER_ROWS or np.isnan(values).any():
        return False
    if not (values == np.round(values)).all() or len(np.unique(values)) < len(values):
        return False
    steps = np.diff(values)
    ordered = bool((steps > 0).all() or (steps < 0).all())
    nearly = _NEARLY_IN_ORDER if ordered else _NEARLY
    return named or bool(np.ptp(values) + 1 <= nearly * len(values))


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


def _check_values(column: pd.Series, name: str, file: str) -> None:
    """Reject durations and nested values."""
    from datetime import date

    from pandas.api.types import is_timedelta64_dtype

    held: Any = column.dropna().astype(object)
    kinds = (str, bool, int, float, np.number, np.bool_, date)
    odd = next((value for value in held if not isinstance(value, kinds)), None)
    if odd is not None or is_timedelta64_dtype(column):
        raise RequestError(
            f"column {shown(name)} of {file} holds {type(odd).__name__} values",
            "numbers, booleans, dates or text",
            "convert it or drop it",
        )


def _fit(texts: Any) -> bool:
    """Tell whether texts are few enough for categories."""
    held = texts[texts != ""]
    distinct = held.nunique()
    return distinct <= MAX_DISTINCT and (distinct <= MAX_CATEGORIES or distinct <= len(held) / 2)


def _check_categories(texts: Any, name: str, file: str) -> None:
    """Reject text that is not a set of categories."""
    distinct = set(texts) - {""}
    if not _fit(texts):
        raise RequestError(
            f"column {shown(name)} of {file} is text with {len(distinct)} distinct values in "
            f"{int((texts != '').sum())} rows, which looks like free text",
            f"at most {MAX_DISTINCT} categories that recur",
            "drop the column or encode it as numbers",
        )


def _mixture_note(held: Any, name: str) -> tuple[str, ...]:
    """Return a note if categories hold numbers among other texts or with marks."""
    distinct = sorted(set(held))
    numbers = [text for text in distinct if numbers_of([text])]
    marked = [text for text in distinct if _MARKED.fullmatch(text)]
    if 0 < len(numbers) < len(distinct):
        odd = next(text for text in distinct if text not in numbers)
        held_too = f"numbers and text such as '{odd}'"
    elif len(distinct) > 1 and len(marked) == len(distinct):
        held_too = f"numbers with marks, such as '{marked[0]}'"
    else:
        return ()
    return (f"Column {shown(name)} holds {held_too}, and is read as categories.",)


def refuse_nearly_numbers(texts: Collection[str], what: str) -> None:
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
                "correct or empty those cells",
            )
