"""How the cells of a text column are spelt: decided once, then applied to any file.

The functions that apply a decision use plain Python alone: exported scripts show them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

# Words that stand for a missing value among numbers or dates, in lower case.
MISSING_WORDS = frozenset(
    ["?", "-", "--", ".", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none", "nil"]
) | {"missing", "#value!", "#div/0!"}
# Thousands mark and decimal mark, tried in this order.
_MARKS = (("", "."), (",", "."), ("", ","), (".", ","), (" ", "."), (" ", ","), ("'", "."))
_ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{3}(\d{3})?)?)?(Z|[+-]\d\d:\d\d)?)?")
_CODE = re.compile(r"0\d+")
_LIKE_A_DATE = re.compile(r"\d[-/.: ]\d|[A-Za-z]{3}.*\d", re.ASCII)
# More whole numbers than this are measured; more other texts than this among them are no slips.
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
    """What a column's texts mean.

    Attributes:
        kind: `number`, `date` (days since `origin`), `truth` (0 or 1) or `category`.
        decimal: The mark before the decimals.
        thousands: The mark between thousands, or none.
        percent: Whether each number has a percent sign, which is taken off.
        missing: Texts that stand for a missing value, beside the empty one.
        date_format: As `strptime` takes it, or `iso`.
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
        """Return what `to_numbers` takes, without what it takes by default."""
        default = Spelling(kind="number")
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if getattr(self, f.name) != getattr(default, f.name)
        }

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, which `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Spelling:
        """Return what `to_json` wrote."""
        return cls(**{**data, "missing": tuple(data.get("missing", ()))})

    def in_words(self) -> str:
        """Return how the texts are read, or nothing where there is nothing to say."""
        if self.kind == "date" and self.date_format.startswith("%H"):
            return "times, taken as fractions of a day"
        if self.kind == "date":
            return f"dates, taken as days since {self.origin[:10]}"
        marks = [f"'{self.thousands}' between thousands"] if self.thousands else []
        marks += [f"'{self.decimal}' before decimals"] if self.decimal != "." else []
        marks += ["a percent sign, which is taken off"] if self.percent else []
        return "numbers with " + " and ".join(marks) if marks else ""


def decide(texts: Collection[str], words: Collection[str] = MISSING_WORDS) -> Spelling:
    """Decide what the texts of a column mean; it is no category where all are numbers or dates.

    Args:
        texts: Those that occur, without blanks around them; empty ones count for nothing.
        words: Words in lower case that may stand for a missing number or date.

    Returns:
        Whole numbers that begin with a zero, such as 007, are codes and so categories.
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
    """Return the marks with which every text is a number, or None."""
    percent = all(text.endswith("%") for text in held)
    bare = [text[:-1].rstrip() for text in held] if percent else held
    for thousands, decimal in _MARKS:
        is_number = number_pattern(thousands, decimal)
        if all(map(is_number, bare)):
            return {"thousands": thousands, "decimal": decimal, "percent": percent}
    return None


def alike_but_for_case(texts: Collection[str]) -> tuple[str, str] | None:
    """Return the first two texts that differ in capitals alone, or None."""
    first: dict[str, str] = {}
    for text in sorted(texts):
        if (other := first.setdefault(text.casefold(), text)) != text:
            return other, text
    return None


def odd_among_numbers(texts: Collection[str]) -> str | None:
    """Return the first text that spoils a column of measured numbers, or None.

    Whole numbers of few values may be codes among other codes, and so may numbers among many other
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
    """Return the first text that is no date where more than half of them are, or None."""
    held = [text for text in texts if text]
    if sum(map(bool, map(_LIKE_A_DATE.search, held))) <= len(held) / 2:
        return None
    for form in ("iso", *_DATES):
        odd = [text for text in held if not _fits([text], form)]
        if 0 < len(odd) < len(held) / 2:
            return odd[0]
    return None


def ambiguous_dates(spelling: Spelling, texts: Collection[str]) -> bool:
    """Tell whether days and months of all dates could change places."""
    form = spelling.date_format
    other = form.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")
    if form[:2] not in ("%d", "%m") or form[2:3] not in ("/", "-") or "%m" not in form:
        return False
    held = [text for text in texts if text and text not in spelling.missing]
    return _fits(held, other) and any(moment(t, form) != moment(t, other) for t in held)


def moment(text: str, date_format: str) -> datetime:
    """Return the moment of a date, in universal time where it names its zone."""
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
    """Return each text as a number: NaN where it is missing, a date as days since the origin."""
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
    """Return one text as a number, as a column's spelling says; True and False are 1 and 0.

    Raises:
        ValueError: It is spelt otherwise.
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
    """Return what tells whether a text is a number with these marks."""
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
