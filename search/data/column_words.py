"""Sentences and phrases about columns: how each is read, and what is odd in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from trainstack.search.data.column_names import shown
from trainstack.search.data.kinds import MAX_CATEGORIES
from trainstack.search.data.odd_texts import alike_but_for_case
from trainstack.search.data.spelling import numbers_of

# A number with a unit after it.
_MARKED = re.compile(r"[\d.,]+\s?(?:°|[A-Za-z]{1,3})")
# Most texts for missing values that are named.
_NAMED = 8


def how(kind: str, levels: int, missing: float, words: str, absent: Sequence[str]) -> str:
    """Return how a column that is used is read.

    Args:
        kind: Kind of the column.
        levels: Number of distinct values.
        missing: Share of missing values.
        words: Description of the format, if it has one.
        absent: Texts that are missing values.
    """
    phrases = [words] if words else []
    if kind == "boolean" and not words:
        phrases = ["0 or 1"]
    elif kind == "category" and levels > MAX_CATEGORIES:
        phrases = [
            f"the {MAX_CATEGORIES - 1} most frequent have a feature each, the rest share one"
        ]
    elif kind == "category":
        phrases = ["a feature for each category"]
    if absent:
        phrases.append(f"{', '.join(map(repr, absent[:3]))} is missing")
    if missing and kind != "category":
        phrases.append("gaps get the median and are marked")
    return "; ".join(phrases) or "standardised"


def unique(levels: int, rows: int) -> str:
    """Return what makes a column an identifier: distinct values in how many of its rows."""
    where = "every row" if levels == rows else f"{levels / rows:.1%} of the rows"
    return f"a distinct value in {where}, as identifiers have"


def blanks_note(column: Any, texts: Any, name: str) -> tuple[str, ...]:
    """Return a note if texts have blanks around them."""
    raw = column[texts != ""].astype(object).map(str)
    spaced = raw[raw != texts[texts != ""]]
    if not len(spaced):
        return ()
    return (
        f"{len(spaced)} value(s) of {shown(name)} such as {spaced.iloc[0]!r} have blanks "
        "around them, which are removed.",
    )


def case_warning(texts: Any, name: str) -> tuple[str, ...]:
    """Return a warning if texts differ in case only."""
    alike = alike_but_for_case(set(texts))
    if alike is None:
        return ()
    return (
        f"{shown(name)} holds {' and '.join(map(repr, alike))}, which stay distinct: write "
        "them alike if they mean the same.",
    )


def missing_note(name: str, missing: Sequence[str], counts: Mapping[str, int]) -> str:
    """Return a note on the texts of a column that are read as missing, with their numbers."""
    words = ", ".join(f"'{word}' ({counts[word]})" for word in missing[:_NAMED])
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    return f"In column {shown(name)} {words}{more} is read as missing."


def mixture_warning(held: Any, name: str) -> tuple[str, ...]:
    """Return a warning if categories hold numbers among other texts or with marks."""
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
