"""What a row of a table is: a named choice with its numbers, and how Keras spells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainstack.spaces.errors import RequestError, suggestion


@dataclass(frozen=True)
class Parameter:
    """A number that belongs to a choice.

    Attributes:
        name: Its name within the choice; a stack spells it `axis.name`.
        default: Used where a named stack does not say otherwise.
        low: Least value that makes sense.
        high: Greatest value that makes sense.
        integer: True where only whole numbers make sense.
    """

    name: str
    default: float
    low: float
    high: float
    integer: bool = False

    def check(self, value: Any, path: str) -> float:
        """Return `value` as a number within the range, or refuse it with its path.

        Raises:
            RequestError: The value is no number, not whole, not finite, or out of range.
        """
        kind = "a whole number" if self.integer else "a number"
        expected = f"{kind} from {self.low:g} to {self.high:g}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RequestError(f"{path} is {value!r}", expected)
        if not self.low <= value <= self.high:  # neither NaN nor infinity is
            raise RequestError(f"{path} is {value!r}", expected)
        if self.integer and value != int(value):
            raise RequestError(f"{path} is {value!r}", expected)
        return int(value) if self.integer else float(value)


@dataclass(frozen=True)
class Call:
    """A Keras object as data: the builder makes it, the exporter prints it.

    Attributes:
        path: Dotted name below `keras`, or a class of `trainstack.workers.engine.layers` where
            Keras has none.
        arguments: Literal keyword arguments.
        numbers: Keyword argument → name of the parameter that it takes.
    """

    path: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)

    def keywords(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments with the parameters' values filled in."""
        return {**self.arguments, **{k: values[name] for k, name in self.numbers.items()}}


@dataclass(frozen=True)
class Choice:
    """One row: a name, what it is, and the numbers it brings."""

    name: str
    about: str
    parameters: tuple[Parameter, ...] = ()

    def parameter(self, name: str) -> Parameter:
        """Return the parameter of that name (KeyError where there is none)."""
        return {p.name: p for p in self.parameters}[name]


@dataclass(frozen=True)
class Layered(Choice):
    """A choice that stands in the network as a layer."""

    call: Call | None = None


def table(*rows: Any) -> dict[str, Any]:
    """Return the rows by name, in order; a name may stand once."""
    named = {row.name: row for row in rows}
    assert len(named) == len(rows), "a name stands twice"
    return named


def look_up(rows: Mapping[str, Any], name: Any, path: str) -> Any:
    """Return the row called `name`, or refuse it with all names, and the nearest if one is near.

    Raises:
        RequestError: There is no such row.
    """
    if not isinstance(name, str) or name not in rows:
        known = sorted(rows)
        expected = known[0] if len(known) == 1 else f"one of {', '.join(known)}"
        raise RequestError(f"{path} is {name!r}", expected, suggestion(str(name), known))
    return rows[name]


Draw = Callable[[str, Any], Any]
