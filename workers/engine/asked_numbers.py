"""Numbers of a user's own network, for which its function asks by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from trainstack.spaces.domains import Choices, Domain, Fixed, Range
from trainstack.spaces.errors import RequestError
from trainstack.spaces.own_numbers import PREFIX, usual
from trainstack.spaces.stack import Stack


@dataclass(eq=False)
class AskedNumbers:
    """What answers the questions of a network, and remembers them.

    Attributes:
        chosen: The stack.
        asked: Numbers that the network asked for, by name, in order.
    """

    chosen: Stack
    asked: dict[str, Domain] = field(default_factory=dict, kw_only=True)

    def choice(self, name: str, values: Sequence[Any]) -> Any:
        """Return one of several values, an axis of the study; the first one is the usual one."""
        values = tuple(values)
        if not values or len(set(values)) < len(values):
            raise RequestError(f"stack.choice({name!r}) has {list(values)}", "values, each once")
        return self._number(name, Fixed(values[0]) if len(values) == 1 else Choices(values))

    def integer(self, name: str, low: int, high: int, log: bool = False) -> int:
        """Return a whole number of a range, an axis of the study."""
        return self._number(name, self._range(name, low, high, log, integer=True))

    def real(self, name: str, low: float, high: float, log: bool = False) -> float:
        """Return a number of a range, an axis of the study; `log`: on a logarithmic scale."""
        return self._number(name, self._range(name, low, high, log, integer=False))

    @staticmethod
    def _range(name: str, low: float, high: float, log: bool, integer: bool) -> Range:
        if not low < high or (log and low <= 0):
            above = " above 0" if log else ""
            raise RequestError(f"{name!r} goes from {low} to {high}", f"low < high{above}")
        kind: Any = int if integer else float
        return Range(kind(low), kind(high), bool(log), integer)

    def _number(self, name: str, domain: Domain) -> Any:
        if not isinstance(name, str) or not name.isidentifier():
            raise RequestError(f"the number {name!r}", "a name of letters, digits and _")
        if self.asked.setdefault(name, domain) != domain:
            raise RequestError(f"{name!r} is asked for twice with other values", "one question")
        value = self.chosen.get(PREFIX + name, usual(domain))
        if not domain.holds(value):
            raise RequestError(f"{PREFIX}{name} is {value!r}", f"a value of {domain.to_json()}")
        return value


def several(values: Any) -> tuple[Any, ...]:
    """Return several numbers to choose from, for one number or several."""
    return (values,) if isinstance(values, int | float) else tuple(values)
