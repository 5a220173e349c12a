"""Texts that are out of place in their column, or ambiguous."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection

from trainstack.search.data.spelling import CODE, DATES, Spelling, has_format, numbers_of
from trainstack.search.data.text_values import moment, number_pattern

_LIKE_A_DATE = re.compile(r"\d[-/.: ]\d|[A-Za-z]{3}.*\d", re.ASCII)
# More distinct whole numbers than this are measurements; more other texts than this are no typing
# errors.
_MOST_CODES, _MOST_ODD = 20, 10
# Texts from which it is seen that a column has no dates of a format, at least.
_SAMPLE = 500


def alike_but_for_case(texts: Collection[str]) -> tuple[str, str] | None:
    """Return the first two texts that differ in case only, or None."""
    first: dict[str, str] = {}
    for text in sorted(texts):
        if (other := first.setdefault(text.casefold(), text)) != text:
            return other, text
    return None


def odd_among_numbers(texts: Collection[str]) -> str | None:
    """Return the first text that is out of place in a column of numbers, or None.

    A few distinct whole numbers may be codes among other codes, as may numbers among many other
    texts.
    """
    held = [text for text in texts if text]
    if any(CODE.fullmatch(text) for text in held):
        return None
    is_number = number_pattern("", ".")
    unlike = [text for text in held if not is_number(text)]
    # A column may hold a hundred thousand other texts: these are enough to tell that.
    odd = list(itertools.islice((t for t in unlike if not numbers_of([t])), _MOST_ODD + 1))
    if len(odd) > _MOST_ODD:
        return None
    numbers = [text for text in held if text not in odd]
    measured = len(numbers) > _MOST_CODES or not all(map(str.isdigit, numbers))
    if not measured or len(numbers) <= len(held) / 2:
        return None
    return next(iter([*odd, *unlike]), None)


def odd_among_dates(texts: Collection[str]) -> str | None:
    """Return the first text that is not a date if more than half are, or None."""
    held = [text for text in texts if text]
    if sum(map(bool, map(_LIKE_A_DATE.search, held))) <= len(held) / 2:
        return None
    some = sorted(held)[:: max(1, len(held) // _SAMPLE)]
    for form in ("iso", *DATES):
        if len(_unlike(some, form)) >= len(some) / 2:
            continue  # a hundred thousand codes need not be read as dates of 26 formats
        odd = _unlike(held, form)
        if 0 < len(odd) < len(held) / 2:
            return odd[0]
    return None


def _unlike(texts: Collection[str], form: str) -> list[str]:
    """Return the texts that are not dates of a format."""
    return [text for text in texts if not has_format([text], form)]


def ambiguous_dates(spelling: Spelling, texts: Collection[str]) -> bool:
    """Tell whether day and month are ambiguous in all dates."""
    form = spelling.date_format
    other = form.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")
    if form[:2] not in ("%d", "%m") or form[2:3] not in ("/", "-") or "%m" not in form:
        return False
    held = [text for text in texts if text and text not in spelling.missing]
    return has_format(held, other) and any(moment(t, form) != moment(t, other) for t in held)
