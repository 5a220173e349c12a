"""Texts as numbers, once the format of their column is known.

Uses plain Python only, since exported scripts include these functions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any


def moment(text: str, date_format: str) -> datetime:
    """Return the time of a date, in UTC if it has a time zone."""
    if date_format == "iso":
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    else:
        found = datetime.strptime(text, date_format)
    return (found - (found.utcoffset() or timedelta(0))).replace(tzinfo=None)


def since(found: datetime, origin: str, part: str = "") -> float:
    """Return the days since a date, or a part of the calendar: `year`, `weekday` (Monday is 0)."""
    if part:
        return float(found.weekday() if part == "weekday" else getattr(found, part))
    return (found - datetime.fromisoformat(origin)) / timedelta(days=1)


def bare(text: str, currency: str) -> str:
    """Return the text of a number without the currency's sign before or after it."""
    sign = text[:1] if text[:1] in ("+", "-") else ""
    return sign + text[len(sign) :].removeprefix(currency).removesuffix(currency).strip()


def to_numbers(
    texts: Any,
    kind: str = "number",
    decimal: str = ".",
    thousands: str = "",
    percent: bool = False,
    currency: str = "",
    true: str = "true",
    false: str = "false",
    missing: tuple[str, ...] = (),
    date_format: str = "",
    origin: str = "",
    part: str = "",
) -> list[float]:
    """Convert each text, all of the column's format, to a number; NaN if missing."""
    numbers = dict.fromkeys(("", *missing), math.nan)
    for text in set(texts) - set(numbers):
        if kind == "truth":
            numbers[text] = float(text.lower() == true)
        elif kind == "date":
            numbers[text] = since(moment(text, date_format), origin, part)
        else:
            plain = bare(text, currency) if currency else text
            plain = plain.replace("%", "") if percent else plain
            plain = plain.replace(thousands, "") if thousands else plain
            numbers[text] = float(plain.replace(decimal, "."))
    return [numbers[text] for text in texts]


def to_number(
    text: str,
    kind: str = "number",
    decimal: str = ".",
    thousands: str = "",
    percent: bool = False,
    currency: str = "",
    true: str = "true",
    false: str = "false",
    missing: tuple[str, ...] = (),
    date_format: str = "",
    origin: str = "",
    part: str = "",
) -> float:
    """Convert a text to a number by a column's format; True and False become 1 and 0.

    Raises:
        ValueError: The text has another format.
    """
    if text in ("", *missing):
        return math.nan
    if kind == "date":
        return since(moment(text, date_format), origin, part)
    plain = bare(text, currency) if currency else text
    plain = plain[:-1].rstrip() if percent and plain.endswith("%") else plain
    if (sign := "%" if percent else currency) and sign not in text:
        raise ValueError(f"{text!r} has no {'percent sign' if percent else sign}")
    if text.lower() in ("true", "false", true, false):
        return float(text.lower() in ("true", true))
    if not number_pattern(thousands, decimal)(plain):
        raise ValueError(f"{text!r} is no {'truth value' if kind == 'truth' else 'number'}")
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
