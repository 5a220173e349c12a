"""What a user says about the columns of a table, in place of what would be decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from trainstack.search.data.column_names import column_named, listed, shown
from trainstack.spaces.errors import RequestError

# Flag → the kind that it sets.
_KINDS = {"numeric": "number", "categorical": "category", "date": "date"}


@dataclass(frozen=True)
class Overrules:
    """Columns by the flag that names them.

    Attributes:
        drop: Columns to leave out.
        keep: Columns to use even if they would be left out.
        numeric: Columns to read as numbers; cells that are none are missing.
        categorical: Columns to read as categories.
        date: Columns to read as dates; cells that are none are missing.
    """

    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    date: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield each flag that names columns, with them."""
        for flag in fields(self):
            if names := getattr(self, flag.name):
                yield flag.name, names

    def to_json(self) -> dict[str, list[str]]:
        """Return plain data that `from_json` reads back, without flags that name nothing."""
        return {flag: list(names) for flag, names in self}

    @classmethod
    def from_json(cls, document: Mapping[str, Sequence[str]]) -> Overrules:
        """Read what `to_json` wrote."""
        return cls(**{flag: tuple(names) for flag, names in document.items()})

    def kind_of(self, name: str) -> str | None:
        """Return the kind that is set for a column: `number`, `category`, `date` or None."""
        return next((kind for flag, kind in _KINDS.items() if name in getattr(self, flag)), None)

    def resolved(self, names: Sequence[str], targets: Sequence[str], file: str) -> Overrules:
        """Return the same with the columns' names as in a file, in the file's order.

        Args:
            names: Names of the file's columns.
            targets: The columns to predict.
            file: Name of the file.

        Raises:
            RequestError: A column does not exist, is named twice, is a target, or is named under
                flags that contradict each other.
        """
        found: dict[str, Any] = {}
        for flag, asked in self:
            wanted = [
                name for text in asked for name in columns_named(text, names, f"--{flag}", file)
            ]
            twice = next((name for name in wanted if wanted.count(name) > 1), None)
            if twice is not None:
                raise RequestError(f"--{flag} names {shown(twice)} twice", "each column once")
            for target in set(targets).intersection(wanted):
                raise RequestError(
                    f"--{flag} names the target {shown(target)}",
                    "a column that is not predicted",
                    "--task says how the target is read",
                )
            found[flag] = tuple(name for name in names if name in wanted)
        self._check_contradictions(found)
        return Overrules(**found)

    def _check_contradictions(self, found: Mapping[str, Sequence[str]]) -> None:
        first: dict[str, str] = {}
        for flag, names in found.items():
            if flag == "keep":
                continue
            for name in names:
                if (other := first.setdefault(name, flag)) != flag:
                    raise _contradiction(name, other, flag)
        for name in found.get("keep", ()):
            if first.get(name) == "drop":
                raise _contradiction(name, "drop", "keep")


NO_OVERRULES = Overrules()


def _contradiction(name: str, flag: str, other: str) -> RequestError:
    return RequestError(f"--{flag} and --{other} both name {shown(name)}", "one of them")


def columns_named(text: str, names: Sequence[str], flag: str, file: str) -> list[str]:
    """Return the columns that a flag's value names; see `listed`.

    Raises:
        RequestError: There is no such column; the hint is the nearest name.
    """
    return [column_named(name.strip(), names, flag, file) for name in listed(text, names)]


def refuse_any(overrules: Overrules, source: str) -> None:
    """Reject flags about columns for data that has none.

    Raises:
        RequestError: A flag names a column.
    """
    for flag, names in overrules:
        raise RequestError(
            f"--{flag} {names[0]} for {source}",
            f"no --{flag}",
            "only .csv and .parquet have columns",
        )
