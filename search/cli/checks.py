"""Checks of flags, and how many workers a command starts."""

from __future__ import annotations

import re

from trainstack.search.cli.common import err
from trainstack.spaces.errors import RequestError, nearest

# Beyond these a number is a slip of the keyboard.
MOST_TRIALS, MOST_EPOCHS, MOST_SECONDS = 1_000_000, 1_000_000, 366 * 24 * 3600


MOST_WORKERS, MOST_WORKERS_UNASKED = 1024, 8


def check_count(flag: str, value: int, least: int, most: int | None = None) -> None:
    """Check a whole number.

    Raises:
        RequestError: It is below `least` or above `most`.
    """
    if value < least or (most is not None and value > most):
        bounds = f"{least} or more" if most is None else f"a whole number from {least} to {most}"
        raise RequestError(f"{flag} {value}", bounds)


def worker_count(asked: int | None, here: bool = True) -> int:
    """Return how many workers to start: one a core, at most 8, unless so many are asked for.

    Args:
        asked: How many are asked for.
        here: They share this machine's cores.

    Raises:
        RequestError: They are fewer than none, or too many.
    """
    from trainstack.search.cli.local_workers import cores

    if asked is None:
        return min(MOST_WORKERS_UNASKED, cores())
    check_count("--workers", asked, 0, MOST_WORKERS)
    if here and asked > cores():
        err().print(
            f"warning: {asked} workers share {cores()} cores; more than one a core seldom pays"
        )
    return asked


def duration(text: str, flag: str) -> float:
    """Read `90`, `90s`, `30m`, `2h`, `1h30m` as seconds.

    Raises:
        RequestError: It is no length of time; `flag` names where it stands.
    """
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip())
    parts = [float(p or 0) for p in match.groups()] if match else [0.0]
    total = sum(p * unit for p, unit in zip(parts, (3600, 60, 1), strict=False))
    if not 0 < total <= MOST_SECONDS:
        raise RequestError(
            f"{flag}{text!r}", "a length of time such as 30m, 2h or 90s, at most a year"
        )
    return total


def known(flag: str, value: str, names: tuple[str, ...]) -> str:
    """Return a value that must be one of some names.

    Raises:
        RequestError: It is not, with the nearest name.
    """
    if value not in names:
        raise RequestError(f"{flag} {value!r} is not known", hint=nearest(value, names))
    return value
