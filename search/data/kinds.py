"""The rules that tell identifiers, codes, free text and categories apart."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np

# Most one-hot features per text column; the rarest categories share the last one.
MAX_CATEGORIES = 50
# A column of long texts with more distinct values is free text.
MAX_DISTINCT = 1000
# Texts longer than this on average are sentences or addresses, not names of categories.
_LONG = 30
# Whole numbers with at most this many distinct values are class labels under `--task auto`.
MAX_AUTO_CLASSES = 20
# With fewer rows an identifier cannot be distinguished from consecutive numbers.
MIN_IDENTIFIER_ROWS = 20
# Share of distinct values from which texts, and numbers named as identifiers, are identifiers.
NEARLY_UNIQUE = 0.95
# N distinct whole numbers within a span of this many times N are taken for row numbers, since as
# many measurements would hardly all differ. The second value is for monotonic columns.
_NEARLY, _NEARLY_IN_ORDER = 2, 5
_NAMES_ROWS = re.compile(
    r"(?:^|[^A-Za-z])(?:[Ii][Dd]|[UuGg][Uu][Ii][Dd])(?:$|[^A-Za-z])|[a-z]I[Dd]$"
)
_NAMES_CODES = re.compile(
    r"(?:^|[^a-z])(?:zip|zip ?code|post ?code|postal|postal ?code|plz|fips|code)(?:$|[^a-z])", re.I
)


def names_rows(name: str) -> bool:
    """Tell whether a column has the name of an identifier.

    >>> [names_rows(name) for name in ("customer_id", "PassengerId", "paid")]
    [True, True, False]
    """
    return bool(_NAMES_ROWS.search(name))


def names_codes(name: str) -> bool:
    """Tell whether a column has the name of a code, such as a postcode.

    >>> [names_codes(name) for name in ("zipcode", "Post_Code", "zipper", "decoded")]
    [True, True, False, False]
    """
    return bool(_NAMES_CODES.search(name))


def is_row_number(values: np.ndarray, named: bool = False) -> bool:
    """Tell whether whole numbers identify rows.

    N distinct ones do if they span at most 2 N, or at most 5 N and are monotonic. If the column has
    the name of an identifier, they do if at least 95 % are distinct.

    Args:
        values: [N], in the order of the rows; NaN is missing.
        named: Whether the column's name is that of an identifier, such as `customer_id`.

    >>> is_row_number(np.arange(100.0)), is_row_number(np.arange(100.0) ** 2)
    (True, False)
    """
    held = values[~np.isnan(values)]
    if len(held) < MIN_IDENTIFIER_ROWS or not (held == np.round(held)).all():
        return False
    distinct = len(np.unique(held))
    if named:
        return distinct >= NEARLY_UNIQUE * len(held)
    if distinct < len(values):
        return False
    steps = np.diff(values)
    ordered = bool((steps > 0).all() or (steps < 0).all())
    return bool(np.ptp(values) + 1 <= (_NEARLY_IN_ORDER if ordered else _NEARLY) * len(values))


def are_codes(texts: Collection[str]) -> bool:
    """Tell whether all texts are digits of equal length, at least three, such as postcodes."""
    held = [text for text in texts if text]
    return len({*map(len, held)}) == 1 and len(held[0]) > 2 and all(map(str.isdigit, held))


def recur(held: Any) -> bool:
    """Tell whether texts recur as categories do: 50 distinct ones, or half as many as texts."""
    distinct = held.nunique()
    return distinct <= MAX_CATEGORIES or distinct <= len(held) / 2


def kind_of_texts(held: Any) -> str:
    """Return the kind of texts that are neither numbers nor dates.

    Args:
        held: Series of the texts that are not missing.

    Returns:
        `identifier` if at least 95 % are distinct; `text` if they do not recur, or if they are long
        and more than 1000 are distinct; else `category`. Nearly unique texts that are long are
        text, too.
    """
    distinct = held.nunique()
    is_long = bool(len(held)) and held.str.len().mean() > _LONG
    if distinct >= NEARLY_UNIQUE * len(held) and len(held) >= MIN_IDENTIFIER_ROWS:
        return "text" if is_long else "identifier"
    if not recur(held) or (is_long and distinct > MAX_DISTINCT):
        return "text"
    return "category"
