"""Rows of the tables: a named choice with its parameters and its Keras object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainstack.spaces.errors import RequestError, suggestion


@dataclass(frozen=True)
class Parameter:
    """A number that belongs to a choice.

    Attributes:
        name: Name within the choice; its key in a stack is `axis.name`.
        default: Value unless a named stack specifies another.
        low: Least permitted value.
        high: Greatest permitted value.
        integer: True if only whole numbers are permitted.
    """

    name: str
    default: float
    low: float
    high: float
    integer: bool = False

    def check(self, value: Any, path: str) -> float:
        """Return `value` as a number after checking its range.

        Raises:
            RequestError: The value is not a number, not whole, not finite, or out of range.
        """
        kind = "a whole number" if self.integer else "a number"
        expected = f"{kind} from {self.low:g} to {self.high:g}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RequestError(f"{path} is {value!r}", expected)
        if not self.low <= value <= self.high:  # also rejects NaN and infinity
            raise RequestError(f"{path} is {value!r}", expected)
        if self.integer and value != int(value):
            raise RequestError(f"{path} is {value!r}", expected)
        return int(value) if self.integer else float(value)


@dataclass(frozen=True)
class Call:
    """A Keras object as data, from which the builder creates it and the exporter prints it.

    Attributes:
        path: Dotted name below `keras`, or a class of `trainstack.workers.engine.layers` if Keras
            has none.
        arguments: Literal keyword arguments.
        numbers: Keyword argument → name of its parameter.
    """

    path: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)

    def keywords(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments including the values of parameters."""
        return {**self.arguments, **{k: values[name] for k, name in self.numbers.items()}}


@dataclass(frozen=True)
class Choice:
    """One row: a name, a description, and its parameters."""

    name: str
    about: str
    parameters: tuple[Parameter, ...] = ()

    def parameter(self, name: str) -> Parameter:
        """Return the parameter of that name; raise KeyError if there is none."""
        return {p.name: p for p in self.parameters}[name]


@dataclass(frozen=True)
class Layered(Choice):
    """A choice that is a layer of the network."""

    call: Call | None = None


def table(*rows: Any) -> dict[str, Any]:
    """Return the rows by name, in order; names must be unique."""
    named = {row.name: row for row in rows}
    assert len(named) == len(rows), "a name stands twice"
    return named


def look_up(rows: Mapping[str, Any], name: Any, path: str) -> Any:
    """Return the row called `name`.

    Raises:
        RequestError: There is no such row; the message lists all names and suggests a near one.
    """
    if not isinstance(name, str) or name not in rows:
        known = sorted(rows)
        expected = known[0] if len(known) == 1 else f"one of {', '.join(known)}"
        raise RequestError(f"{path} is {name!r}", expected, suggestion(str(name), known))
    return rows[name]


Draw = Callable[[str, Any], Any]
