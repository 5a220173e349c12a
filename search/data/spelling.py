"""The format of a text column's cells: determined once, then applied to any file.

The functions that apply a format use plain Python only, since exported scripts include them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

# Words that mark a missing value among numbers or dates, in lower case.
MISSING_WORDS = frozenset(
    ["?", "-", "--", ".", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none", "nil"]
) | {"missing", "#value!", "#div/0!"}
# Thousands mark and decimal mark, tried in this order.
_MARKS = (("", "."), (",", "."), ("", ","), (".", ","), (" ", "."), (" ", ","), ("'", "."))
_ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{3}(\d{3})?)?)?(Z|[+-]\d\d:\d\d)?)?")
_CODE = re.compile(r"0\d+")
_LIKE_A_DATE = re.compile(r"\d[-/.: ]\d|[A-Za-z]{3}.*\d", re.ASCII)
# More distinct whole numbers than this are measurements; more other texts than this are no typing
# errors.
_MOST_CODES, _MOST_ODD = 20, 10
_DATES = (
    *(
        date + time
        for date in ("%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y")
        for time in ("", " %H:%M", " %H:%M:%S")
    ),
    *("%Y%m%dT%H%M%S", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%Y-%m", "%Y/%m", "%H:%M", "%H:%M:%S"),
)


@dataclass(frozen=True)
class Spelling:
    """The format of a column's texts.

    Attributes:
        kind: `number`, `date` (days since `origin`), `truth` (0 or 1) or `category`.
        decimal: The decimal mark.
        thousands: The thousands mark, or none.
        percent: Whether each number has a percent sign, which is removed.
        missing: Texts that mark a missing value, beside the empty one.
        date_format: A format of `strptime`, or `iso`.
        origin: The date of day 0, in ISO form.
    """

    kind: str = "category"
    decimal: str = "."
    thousands: str = ""
    percent: bool = False
    missing: tuple[str, ...] = ()
    date_format: str = ""
    origin: str = ""

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `to_numbers` that differ from its defaults."""
        default = Spelling(kind="number")
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if getattr(self, f.name) != getattr(default, f.name)
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Spelling:
        """Return the spelling written by `to_json`."""
        return cls(**{**data, "missing": tuple(data.get("missing", ()))})

    def in_words(self) -> str:
        """Return a description of how the texts are read; empty for plain numbers."""
        if self.kind == "date" and self.date_format.startswith("%H"):
            return "times, converted to fractions of a day"
        if self.kind == "date":
            return f"dates, converted to days since {self.origin[:10]}"
        marks = [f"'{self.thousands}' between thousands"] if self.thousands else []
        marks += [f"'{self.decimal}' before decimals"] if self.decimal != "." else []
        marks += ["a percent sign, which is removed"] if self.percent else []
        return "numbers with " + " and ".join(marks) if marks else ""


def decide(texts: Collection[str], words: Collection[str] = MISSING_WORDS) -> Spelling:
    """Determine the format of a column's texts; they are categories unless all match one format.

    Args:
        texts: Distinct stripped texts; empty ones are ignored.
        words: Words in lower case that may mark a missing number or date.

    Returns:
        The spelling. Whole numbers with a leading zero, such as 007, are codes, thus categories.
    """
    held = [text for text in texts if text and text.lower() not in words]
    missing = tuple(sorted(text for text in texts if text and text.lower() in words))
    if not held:
        return Spelling("number", missing=missing) if missing else Spelling()
    if all(text.lower() in ("true", "false") for text in held):
        return Spelling("truth", missing=missing)
    codes = any(_CODE.fullmatch(text) for text in held)
    if not codes and (number := numbers_of(held)):
        return Spelling("number", **number, missing=missing)
    if form := _date_format(held):
        first = min(moment(text, form) for text in held)
        day = first.replace(hour=0, minute=0, second=0, microsecond=0).isoformat()
        return Spelling("date", missing=missing, date_format=form, origin=day)
    return Spelling()


def numbers_of(held: Collection[str]) -> dict[str, Any] | None:
    """Return the marks by which every text is a number, or None."""
    percent = all(text.endswith("%") for text in held)
    bare = [text[:-1].rstrip() for text in held] if percent else held
    for thousands, decimal in _MARKS:
        is_number = number_pattern(thousands, decimal)
        if all(map(is_number, bare)):
            return {"thousands": thousands, "decimal": decimal, "percent": percent}
    return None


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
    if any(_CODE.fullmatch(text) for text in held):
        return None
    is_number = number_pattern("", ".")
    unlike = [text for text in held if not is_number(text)]
    odd = [text for text in unlike if not numbers_of([text])]
    numbers = [text for text in held if text not in {*odd}]
    measured = len(numbers) > _MOST_CODES or not all(map(str.isdigit, numbers))
    if not measured or len(numbers) <= len(held) / 2 or len(odd) > _MOST_ODD:
        return None
    return next(iter([*odd, *unlike]), None)


def odd_among_dates(texts: Collection[str]) -> str | None:
    """Return the first text that is not a date if more than half are, or None."""
    held = [text for text in texts if text]
    if sum(map(bool, map(_LIKE_A_DATE.search, held))) <= len(held) / 2:
        return None
    for form in ("iso", *_DATES):
        odd = [text for text in held if not _fits([text], form)]
        if 0 < len(odd) < len(held) / 2:
            return odd[0]
    return None


def ambiguous_dates(spelling: Spelling, texts: Collection[str]) -> bool:
    """Tell whether day and month are ambiguous in all dates."""
    form = spelling.date_format
    other = form.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")
    if form[:2] not in ("%d", "%m") or form[2:3] not in ("/", "-") or "%m" not in form:
        return False
    held = [text for text in texts if text and text not in spelling.missing]
    return _fits(held, other) and any(moment(t, form) != moment(t, other) for t in held)


def moment(text: str, date_format: str) -> datetime:
    """Return the time of a date, in UTC if it has a time zone."""
    if date_format == "iso":
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    else:
        found = datetime.strptime(text, date_format)
    return (found - (found.utcoffset() or timedelta(0))).replace(tzinfo=None)


def to_numbers(
    texts: Any,
    kind: str = "number",
    decimal: str = ".",
    thousands: str = "",
    percent: bool = False,
    missing: tuple[str, ...] = (),
    date_format: str = "",
    origin: str = "",
) -> list[float]:
    """Convert each text to a number: NaN if missing, a date as days since the origin."""
    numbers = dict.fromkeys(("", *missing), math.nan)
    for text in set(texts) - set(numbers):
        if kind == "truth":
            numbers[text] = float(text.lower() == "true")
        elif kind == "date":
            passed = moment(text, date_format) - datetime.fromisoformat(origin)
            numbers[text] = passed / timedelta(days=1)
        else:
            plain = text.replace("%", "") if percent else text
            plain = plain.replace(thousands, "") if thousands else plain
            numbers[text] = float(plain.replace(decimal, "."))
    return [numbers[text] for text in texts]


def to_number(
    text: str,
    kind: str = "number",
    decimal: str = ".",
    thousands: str = "",
    percent: bool = False,
    missing: tuple[str, ...] = (),
    date_format: str = "",
    origin: str = "",
) -> float:
    """Convert a text to a number by a column's spelling; True and False become 1 and 0.

    Raises:
        ValueError: The text has another format.
    """
    if text in ("", *missing):
        return math.nan
    if kind == "date":
        passed = moment(text, date_format) - datetime.fromisoformat(origin)
        return passed / timedelta(days=1)
    if text.lower() in ("true", "false") and not percent:
        return float(text.lower() == "true")
    plain = text[:-1].rstrip() if percent and text.endswith("%") else text
    if percent and plain == text:
        raise ValueError(f"{text!r} has no percent sign")
    if not number_pattern(thousands, decimal)(plain):
        raise ValueError(f"{text!r} is no number")
    plain = plain.replace(thousands, "") if thousands else plain
    number = float(plain.replace(decimal, "."))
    if kind == "truth" and number not in (0, 1):
        raise ValueError(f"{text!r} is neither true nor false")
    return number


def number_pattern(thousands: str, decimal: str) -> Callable[[str], object]:
    """Return a pattern that matches numbers with these marks."""
    point = re.escape(decimal)
    if thousands:
        mark = re.escape(thousands)
        whole = rf"(?:[1-9]\d{{0,2}}(?:{mark}\d{{3}})+|\d{{1,3}})"
        return re.compile(rf"[+-]?{whole}(?:{point}\d*)?").fullmatch
    power = r"(?:[eE][+-]?\d+)?"
    number = rf"(?:\d+(?:{point}\d*)?|{point}\d+){power}"
    return re.compile(rf"[+-]?(?:{number}|(?i:inf(?:inity)?))", re.ASCII).fullmatch


def _date_format(held: Collection[str]) -> str:
    if all(map(_ISO.fullmatch, held)) and _fits(held, "iso"):
        return "iso"
    return next((form for form in _DATES if _fits(held, form)), "")


def _fits(held: Collection[str], form: str) -> bool:
    try:
        for text in held:
            moment(text, form)
    except (ValueError, OverflowError):
        return False
    return True
