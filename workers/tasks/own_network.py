"""Build a user's network once for each choice: `python -m trainstack.workers.tasks.own_network`.

The request is read from standard input. What the network asks for becomes axes of the study, before
anything is created or trained.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trainstack.search.own_network import FLAG, OwnNetwork
from trainstack.spaces.domains import Choices, Domain, Fixed, Range
from trainstack.spaces.errors import RequestError
from trainstack.spaces.own_numbers import PREFIX, OwnNumber, usual
from trainstack.spaces.stack import Stack
from trainstack.workers.tasks.requests import serve

if TYPE_CHECKING:
    from trainstack.workers.engine.own_network import BuiltNetwork

# Whole numbers of a range that are tried one by one, since other numbers may depend on them.
MOST_WHOLE = 10
# Networks that are built at most, and those drawn at random to check what was found.
MOST_BUILDS = 300
DRAWN = 8

# Numbers → the numbers that the network asks for, by name, in order.
Asking = Callable[[Mapping[str, Any]], Mapping[str, Domain]]


def look(request: Any) -> Iterator[dict[str, Any]]:
    """Answer `{"network", "outputs"}` with what the network asks for and what it is.

    Yields:
        `{"numbers", "has_head", "voids", "fit", "defines", "eager", "files"}`: its own numbers as
        `OwnNumber.to_json`, whether the stack makes its last layer, why some of its choices cannot
        be self-normalizing, why `fit` trains it (both empty if there is no reason), which part of
        its training it defines, whether it is trained eagerly, and its saved models as `OwnNetwork`
        has them.

    Raises:
        RequestError: The network cannot be built, or asks for numbers in an order that differs
            from call to call.
    """
    from trainstack.workers.engine.own_network import built, own_training
    from trainstack.workers.engine.self_normalizing import voids
    from trainstack.workers.engine.unknown_to_engine import why_unknown

    network, outputs = OwnNetwork.from_json(request["network"]), request["outputs"]
    files: dict[str, Any] = {}
    void = fit = defines = ""
    eager = False

    def seen(numbers: Mapping[str, Any]) -> BuiltNetwork:
        nonlocal void, fit, defines, eager
        stack = Stack.of(**{f"{PREFIX}{name}": value for name, value in numbers.items()})
        found = built(network, stack, outputs)
        files.update({name: asdict(saved) for name, saved in found.files.items()})
        void = void or voids(found)
        reason, needs_python = why_unknown(found)
        fit, eager = fit or reason, eager or needs_python
        defines = defines or own_training(found.fitted)
        return found

    first, again = seen({}), seen({}).asked
    if list(again.items()) != list(first.asked.items()):
        raise RequestError(
            f"{FLAG}: {network.place} asks for {_shown(first.asked)}, then for {_shown(again)}",
            "the same numbers whenever the choices are the same",
        )
    numbers = explored(lambda chosen: seen(chosen).asked, network.place)
    yield {
        "numbers": {name: number.to_json() for name, number in numbers.items()},
        "has_head": first.top is not None,
        **{"voids": void, "fit": fit, "defines": defines, "eager": eager, "files": files},
    }


def explored(asking: Asking, what: str) -> dict[str, OwnNumber]:
    """Find the numbers of a network, and with which choices it asks for each.

    Every value of a choice is tried with the usual values of the others, and again wherever a
    number is found first. So nested conditions are found; those on two choices at once are not, and
    are refused after some draws.

    Args:
        asking: Builds the network.
        what: Names it, for messages.

    Raises:
        RequestError: A condition is on a range, on two choices at once, or gives a number other
            values.
    """
    found = _Found(asking, what)
    found.visit({})
    for name in found.order:  # grows while new numbers are found
        for value in arms(found.domains[name]):
            found.visit({**found.places[name], name: value})
    numbers = {name: OwnNumber(found.domains[name], found.conditions(name)) for name in found.order}
    _check(numbers, asking, what)
    return numbers


def arms(domain: Domain) -> tuple[Any, ...]:
    """Return the values of a number with which a network may ask for others.

    >>> arms(Range(1, 3, integer=True)), arms(Range(0.1, 0.5))
    ((1, 2, 3), (0.1, 0.5))
    """
    if isinstance(domain, Choices):
        return domain.values
    if isinstance(domain, Fixed):
        return (domain.value,)
    low, high = domain.low, domain.high
    if domain.integer and high - low < MOST_WHOLE:
        return tuple(range(int(low), int(high) + 1))
    return low, high


class _Found:
    """What a network asked for in some calls.

    Attributes:
        order: Names of the numbers, in the order in which they were found.
        domains: Their domains.
        places: The choices, other than the usual ones, with which each was found.
    """

    def __init__(self, asking: Asking, what: str) -> None:
        self._asking, self._what = asking, what
        self._calls: dict[frozenset[tuple[str, Any]], tuple[str, ...]] = {}
        self.order: list[str] = []
        self.domains: dict[str, Domain] = {}
        self.places: dict[str, dict[str, Any]] = {}

    def visit(self, numbers: Mapping[str, Any]) -> None:
        """Build the network with these numbers, and the usual values of the others."""
        place = self._unusual(numbers)
        if frozenset(place.items()) in self._calls:
            return
        if len(self._calls) >= MOST_BUILDS:
            raise RequestError(
                f"{FLAG}: {self._what} has more than {MOST_BUILDS} choices",
                "fewer, or numbers of a range: stack.integer, stack.real",
            )
        asked = self._asking(place)
        self._calls[frozenset(place.items())] = tuple(asked)
        for name, domain in asked.items():
            if self.domains.setdefault(name, domain) != domain:
                raise RequestError(
                    f"{FLAG}: {self._what} asks for {name!r} with other values where {_of(place)}",
                    "one domain for a name",
                )
            if name not in self.places:
                self.places[name] = place
                self.order.append(name)

    def conditions(self, name: str) -> dict[str, tuple[Any, ...]]:
        """Return the numbers on which a number depends, with their values."""
        place = self.places[name]
        before = self._calls[frozenset(place.items())]
        found = {}
        for other in before[: before.index(name)]:
            values = arms(self.domains[other])
            kept = tuple(value for value in values if self._asks(name, {**place, other: value}))
            if kept != values:
                if isinstance(self.domains[other], Range) and len(values) == 2:
                    raise RequestError(
                        f"{FLAG}: {self._what} asks for {name!r} by the range {other!r}",
                        f"conditions on choices and whole numbers of {MOST_WHOLE} values at most",
                    )
                found[other] = kept
        return found

    def _asks(self, name: str, numbers: Mapping[str, Any]) -> bool:
        """Return whether the network asks for a number; True if it was not tried."""
        return name in self._calls.get(frozenset(self._unusual(numbers).items()), (name,))

    def _unusual(self, numbers: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in numbers.items() if v != usual(self.domains[k])}


def _check(numbers: Mapping[str, OwnNumber], asking: Asking, what: str) -> None:
    """Draw some numbers and check that the network asks for just these."""
    if len(numbers) < 2:
        return
    rng = random.Random(0)
    for _ in range(DRAWN):
        chosen: dict[str, Any] = {}
        for name, number in numbers.items():
            if number.active(chosen):
                chosen[PREFIX + name] = rng.choice(arms(number.domain))
        drawn = {key.removeprefix(PREFIX): value for key, value in chosen.items()}
        if odd := sorted(drawn.keys() ^ asking(drawn).keys()):
            raise RequestError(
                f"{FLAG}: {what} asks for {odd[0]!r} by several choices at once ({_of(drawn)})",
                "a condition on one choice, or conditions inside one another",
            )


def _of(numbers: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} is {value!r}" for name, value in numbers.items())


def _shown(asked: Mapping[str, Domain]) -> str:
    return ", ".join(f"{name} {domain.to_json()}" for name, domain in asked.items()) or "nothing"


if __name__ == "__main__":
    raise SystemExit(serve(look))
