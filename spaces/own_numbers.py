"""The numbers of a user's own network as axes of a space, some of them conditional.

A network that a user builds asks for its own numbers by name (`stack.choice`, `stack.integer`,
`stack.real`). In a stack they are `network.NAME`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainstack.spaces.domains import Choices, Domain, Fixed, Range
from trainstack.spaces.errors import RequestError

# Keys of a stack that are a network's own numbers start with this.
PREFIX = "network."


@dataclass(frozen=True)
class OwnNumber:
    """One number, or named choice, of a network.

    Attributes:
        domain: Its values, the usual one first; of a range the lower end is the usual one.
        when: Other number → its values with which the network asks for this one; empty: it always
            does.
    """

    domain: Domain
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def usual(self) -> Any:
        """The value of a stack that does not have the number."""
        return usual(self.domain)

    def active(self, chosen: Mapping[str, Any]) -> bool:
        """Return whether a network asks for it beside the numbers that are chosen, by stack key."""
        return all(chosen.get(PREFIX + name) in values for name, values in self.when.items())

    def to_json(self) -> dict[str, Any]:
        """Return the document that `read_numbers` reads."""
        when = {name: list(values) for name, values in self.when.items()}
        kind = {"integer": True} if isinstance(self.domain, Range) and self.domain.integer else {}
        domain = self.domain.to_json()
        domain = domain if isinstance(domain, dict) else {"choices": [domain]}
        return {**domain, **kind, **({"when": when} if when else {})}


def check_without_network(stack: Mapping[str, Any]) -> None:
    """Refuse a stack with numbers of a network, where there is none.

    >>> check_without_network({"units": [8]})
    """
    for key in stack:
        if key.startswith(PREFIX):
            raise RequestError(
                f"stack key {key!r} is a number of a network of your own",
                "a study with --network",
            )


def asked_for(numbers: Mapping[str, OwnNumber], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a network asks for, by stack key: the numbers chosen, the others as usual.

    Args:
        numbers: The network's numbers, each after those that it depends on.
        chosen: Some of them by stack key, asked for or not.
    """
    found: dict[str, Any] = {}
    for name, number in numbers.items():
        if number.active(found):
            found[PREFIX + name] = chosen.get(PREFIX + name, number.usual)
    return found


def dependents(numbers: Mapping[str, OwnNumber], name: str) -> set[str]:
    """Return the names of the numbers that are asked for by the value of another one.

    >>> top, units = OwnNumber(Choices(("dense", "mean"))), Fixed(4)
    >>> dependents({"top": top, "units": OwnNumber(units, {"top": ("dense",)})}, "top")
    {'units'}
    """
    found: set[str] = set()
    for other, number in numbers.items():
        if not number.when.keys().isdisjoint({name, *found}):
            found.add(other)
    return found


def usual(domain: Domain) -> Any:
    """Return a domain's first value: of choices the first, of a range the lower end."""
    if isinstance(domain, Fixed):
        return domain.value
    return domain.values[0] if isinstance(domain, Choices) else domain.low


def read_numbers(document: Mapping[str, Any]) -> dict[str, OwnNumber]:
    """Read the numbers of a space's JSON.

    Raises:
        RequestError: The document was not written by `OwnNumber.to_json`.
    """
    try:
        return {name: _read(given) for name, given in document.items()}
    except (AttributeError, KeyError, TypeError):
        raise RequestError(
            "network is no object of numbers", "what launch --network wrote"
        ) from None


def _read(given: Mapping[str, Any]) -> OwnNumber:
    when = {name: tuple(values) for name, values in given.get("when", {}).items()}
    if "choices" in given:
        values = tuple(given["choices"])
        return OwnNumber(Fixed(values[0]) if len(values) == 1 else Choices(values), when)
    integer = bool(given.get("integer", False))
    return OwnNumber(Range(given["low"], given["high"], bool(given.get("log")), integer), when)


def check_value(key: str, value: Any) -> Any:
    """Return a value of a network's number in a stack.

    Raises:
        RequestError: It is no text, number or truth value.
    """
    if not isinstance(value, str | int | float | bool):
        raise RequestError(f"{key} is {value!r}", "a text, a number or a truth value")
    return value
