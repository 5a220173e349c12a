"""The format of a text column's cells: determined once, then applied to any file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from trainstack.search.data.text_values import bare, moment, number_pattern, to_number

# Words that mark a missing value among numbers, truth values or dates, in lower case.
MISSING_WORDS = frozenset(
    ["?", "-", "--", ".", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none", "nil"]
) | {"missing", "#value!", "#div/0!"}
# These may be categories.
_CATEGORY_WORDS = frozenset(["none", "nil"])
# The two spellings of a truth value, in lower case; 1 and 0 are numbers already.
TRUTHS = (("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("on", "off"))
CURRENCIES = (
    *("US$", "$", "€", "£", "¥", "₹", "₩", "₽", "₺"),
    *("USD", "EUR", "GBP", "JPY", "CNY", "CHF", "INR", "CAD", "AUD", "BRL", "SEK", "NOK", "DKK"),
)
# Thousands mark and decimal mark, tried in this order.
_MARKS = (("", "."), (",", "."), ("", ","), (".", ","), (" ", "."), (" ", ","), ("'", "."))
# The same where other columns have decimal commas: 1.234 has points between thousands.
_POINTS_FIRST = ((".", ","), *_MARKS)
_ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{3}(\d{3})?)?)?(Z|[+-]\d\d:\d\d)?)?")
CODE = re.compile(r"0\d+")
DATES = (
    *(
        date + time
        for date in ("%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y")
        for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
    ),
    *("%Y%m%dT%H%M%S", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%Y-%m", "%Y/%m", "%H:%M", "%H:%M:%S"),
)
# Formats of dates that look like numbers, tried only if the column is said to hold dates.
_ASKED = ("%Y%m%d", "%Y")

# Parts of the calendar, from the longest, with the marks of a format that has them.
PARTS = (("year", "Yy"), ("month", "mbB"), ("day", "d"), ("weekday", "d"), ("hour", "HI"))


@dataclass(frozen=True)
class Spelling:
    """The format of a column's texts.

    Attributes:
        kind: `number`, `date` (days since `origin`), `truth` (0 or 1) or `category`.
        decimal: The decimal mark.
        thousands: The thousands mark, or none.
        percent: Whether each number has a percent sign, which is removed.
        currency: The currency's sign before or after each number, which is removed.
        true: The spelling of 1 among truth values, in lower case.
        false: The spelling of 0.
        missing: Texts that mark a missing value, beside the empty one.
        date_format: A format of `strptime`, or `iso`.
        origin: The date of day 0, in ISO form.
        part: The part of the date that is taken instead of the days: `year`, `month`, `day`,
            `weekday` or `hour`.
    """

    kind: str = "category"
    decimal: str = "."
    thousands: str = ""
    percent: bool = False
    currency: str = ""
    true: str = "true"
    false: str = "false"
    missing: tuple[str, ...] = ()
    date_format: str = ""
    origin: str = ""
    part: str = ""

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `to_numbers` that differ from its defaults.

        Categories have no other than `missing`.
        """
        default = Spelling(self.kind if self.kind == "category" else "number")
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
        if self.kind == "truth" and self.true != "true":
            return f"truth values: 1 for '{self.true}', 0 for '{self.false}'"
        if self.is_time:
            return "times, converted to fractions of a day"
        if self.kind == "date":
            return f"dates, converted to days since {self.origin[:10]}"
        marks = [f"'{self.thousands}' between thousands"] if self.thousands else []
        marks += [f"'{self.decimal}' before decimals"] if self.decimal != "." else []
        marks += ["a percent sign, which is removed"] if self.percent else []
        marks += [f"the sign '{self.currency}', which is removed"] if self.currency else []
        return "numbers with " + " and ".join(marks) if marks else ""

    @property
    def is_time(self) -> bool:
        """Whether the dates are times of a day."""
        return self.kind == "date" and self.date_format.startswith("%H")

    def calendar_parts(self) -> tuple[str, ...]:
        """Return the parts of the calendar that the dates have, from the longest."""
        if self.kind != "date" or self.is_time:
            return ()
        form = "%Y-%m-%d %H" if self.date_format == "iso" else self.date_format
        return tuple(part for part, marks in PARTS if any(f"%{mark}" in form for mark in marks))


def decide(
    texts: Collection[str], words: Collection[str] = MISSING_WORDS, comma: bool = False
) -> Spelling:
    """Determine the format of a column's texts; they are categories unless all match one format.

    Args:
        texts: Distinct stripped texts; empty ones are ignored.
        words: Words in lower case that may mark a missing value. `None` and `nil` do not among
            categories.
        comma: Whether other columns have decimal commas, so that the point of 1.234 separates
            thousands.

    Returns:
        The spelling. Whole numbers with a leading zero, such as 007, are codes, thus categories.
    """
    held = [text for text in texts if text and text.lower() not in words]
    missing = tuple(sorted(text for text in texts if text and text.lower() in words))
    if not held:
        return Spelling("number", missing=missing) if missing else Spelling()
    lower = {text.lower() for text in held}
    for pair in TRUTHS:
        if lower == {*pair} or (pair == TRUTHS[0] and lower < {*pair}):
            return Spelling("truth", true=pair[0], false=pair[1], missing=missing)
    codes = any(CODE.fullmatch(text) for text in held)
    if not codes and (number := numbers_of(held, comma)):
        return Spelling("number", **number, missing=missing)
    if form := _date_format(held):
        return Spelling("date", missing=missing, date_format=form, origin=_first_day(held, form))
    return Spelling(missing=tuple(text for text in missing if text.lower() not in _CATEGORY_WORDS))


def read_as(kind: str, texts: Collection[str], comma: bool = False) -> Spelling | None:
    """Return the format of texts that are said to be numbers or dates.

    Args:
        kind: `number` or `date`.
        texts: Distinct stripped texts; empty ones are ignored.
        comma: As in `decide`.

    Returns:
        The spelling that reads most of the texts; the others are missing values. None if it does
        not read more than half of the texts that are not words for a missing value.
    """
    held = sorted(text for text in texts if text)
    if kind == "number":
        numbers = [text for text in held if numbers_of([text])]
        marks = [numbers_of(numbers, comma), *(numbers_of([t], comma) for t in numbers)]
        forms = {Spelling("number", **m) for m in marks if m}
    else:
        forms = {
            Spelling("date", date_format=f, origin="1970-01-01") for f in ("iso", *DATES, *_ASKED)
        }
    # In a fixed order, so that equally good formats are chosen alike everywhere.
    good: set[str] = set()
    best = Spelling()
    for form in sorted(forms, key=repr):
        if len(found := _readable(form, held)) > len(good):
            good, best = found, form
    others = tuple(text for text in held if text not in good)
    if len(good) <= sum(text.lower() not in MISSING_WORDS for text in others):
        return None
    first = _first_day(good, best.date_format) if kind == "date" else ""
    return replace(best, missing=others, origin=first)


def numbers_of(held: Collection[str], comma: bool = False) -> dict[str, Any] | None:
    """Return the marks by which every text is a number, or None."""
    percent = all(text.endswith("%") for text in held)
    texts = [text[:-1].rstrip() for text in held] if percent else list(held)
    signs = [] if percent else CURRENCIES
    currency = next((sign for sign in signs if all(sign in text for text in texts)), "")
    texts = [bare(text, currency) for text in texts] if currency else texts
    points = comma and any("." in text for text in texts)
    for thousands, decimal in _POINTS_FIRST if points else _MARKS:
        is_number = number_pattern(thousands, decimal)
        if all(map(is_number, texts)):
            marks = {"thousands": thousands, "decimal": decimal, "percent": percent}
            return {**marks, "currency": currency}
    return None


def has_format(held: Collection[str], form: str) -> bool:
    """Tell whether all texts are dates of a format."""
    try:
        for text in held:
            moment(text, form)
    except (ValueError, OverflowError):
        return False
    return True


def _date_format(held: Collection[str]) -> str:
    if all(map(_ISO.fullmatch, held)) and has_format(held, "iso"):
        return "iso"
    return next((form for form in DATES if has_format(held, form)), "")


def _first_day(held: Iterable[str], form: str) -> str:
    first = min(moment(text, form) for text in held)
    return first.replace(hour=0, minute=0, second=0, microsecond=0).isoformat()


def _readable(form: Spelling, texts: Iterable[str]) -> set[str]:
    """Return the texts that have a format."""
    found = set()
    for text in texts:
        with contextlib.suppress(ValueError, OverflowError):
            to_number(text, **form.arguments())
            found.add(text)
    return found
