"""What a user says about how rows become parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from trainstack.spaces.errors import RequestError

_SECONDS = {"w": 7 * 86_400.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True)
class SplitPlan:
    """How rows become parts; by default at random, stratified by class.

    Attributes:
        group: Column of a table; rows with the same value stay in one part.
        time: Column of a table; the latest rows are for testing, the latest before them for
            validation.
        gap: What is left out before each part in time: a number of rows, or a time such as `7d`.
        part: Column of a table that names the part of each row.
        valid: Absolute path of a table with the validation rows.
        test: Absolute path of a table with the test rows.
    """

    group: str | None = None
    time: str | None = None
    gap: str | None = None
    part: str | None = None
    valid: str | None = None
    test: str | None = None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield each flag that is given, with its value."""
        for flag in fields(self):
            if (value := getattr(self, flag.name)) is not None:
                yield flag.name, value

    def to_json(self) -> dict[str, str]:
        """Return plain data that `from_json` reads back, without flags that are not given."""
        return dict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> SplitPlan:
        """Read what `to_json` wrote."""
        return cls(**document)

    @property
    def files(self) -> dict[str, str]:
        """Part → the path of its table, of those that are given."""
        return {flag: value for flag, value in self if flag in ("valid", "test")}

    def check(self) -> None:
        """Check that the flags fit together.

        Raises:
            RequestError: Two exclude each other, or a gap has no time or cannot be read.
        """
        given = dict(self)
        for one, other in (("group", "time"), ("part", "valid"), ("part", "test")):
            if one in given and other in given:
                raise RequestError(f"--{one} with --{other}", "one of them")
        if self.gap is None:
            return
        if self.time is None:
            raise RequestError(f"--gap {self.gap} without --time", "--time COLUMN beside it")
        gap_of(self.gap)


RANDOM = SplitPlan()


def gap_of(text: str) -> tuple[int, float]:
    """Return the rows and the seconds of a gap, one of which is 0.

    Raises:
        RequestError: The text is neither.

    >>> gap_of("100"), gap_of("1d12h")
    ((100, 0.0), (0, 129600.0))
    """
    plain = text.strip()
    if re.fullmatch(r"\d{1,9}", plain) and int(plain):
        return int(plain), 0.0
    parts = re.fullmatch("".join(rf"(?:(\d{{1,9}}){unit})?" for unit in _SECONDS), plain)
    counts = [int(count or 0) for count in parts.groups()] if parts else [0]
    if not any(counts):
        raise RequestError(f"--gap {text}", "a number of rows, or a time such as 7d, 1d12h or 30m")
    return 0, sum(n * unit for n, unit in zip(counts, _SECONDS.values(), strict=True))


def refuse_any(plan: SplitPlan, source: str) -> None:
    """Reject flags about a table's rows for data that is none.

    Raises:
        RequestError: A flag is given.
    """
    for flag, value in plan:
        raise RequestError(
            f"--{flag} {value} for {source}",
            f"no --{flag}",
            "only .csv and .parquet have columns; an .npz may hold x_valid and x_test",
        )
