"""Validation of flags, and the number of workers to start."""

from __future__ import annotations

import re

from trainstack.search.cli.common import err
from trainstack.spaces.errors import RequestError, nearest

# Larger numbers are taken for typing errors.
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
    """Return how many workers to start: by default one per core, at most 8.

    Args:
        asked: Requested number; None: the default.
        here: True where they share this machine's cores.

    Raises:
        RequestError: The number is negative or too large.
    """
    from trainstack.search.cli.local_workers import cores

    if asked is None:
        return min(MOST_WORKERS_UNASKED, cores())
    check_count("--workers", asked, 0, MOST_WORKERS)
    if here and asked > cores():
        err().print(
            f"warning: {asked} workers share {cores()} cores; more than one per core rarely helps"
        )
    return asked


def duration(text: str, flag: str) -> float:
    """Read `90`, `90s`, `30m`, `2h`, `1h30m` as seconds.

    Raises:
        RequestError: The text is not a duration; the message begins with `flag`.
    """
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip())
    parts = [float(p or 0) for p in match.groups()] if match else [0.0]
    total = sum(p * unit for p, unit in zip(parts, (3600, 60, 1), strict=False))
    if not 0 < total <= MOST_SECONDS:
        raise RequestError(f"{flag}{text!r}", "a duration such as 30m, 2h or 90s, at most a year")
    return total


def known(flag: str, value: str, names: tuple[str, ...]) -> str:
    """Return a value after checking that it is one of the known names.

    Raises:
        RequestError: It is not; the hint gives the nearest name.
    """
    if value not in names:
        raise RequestError(f"{flag} {value!r} is not known", hint=nearest(value, names))
    return value
