"""Spaces and stacks for a user's own network: what it leaves open of the choices."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from trainstack.spaces.axes import BUNDLE_AXIS, CHAIN, CHOICE_AXES, UNITS_AXIS
from trainstack.spaces.domains import Fixed
from trainstack.spaces.errors import RequestError, nearest
from trainstack.spaces.own_numbers import PREFIX, OwnNumber, asked_for
from trainstack.spaces.preparations import STANDARD
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

# What the stack says about dense layers only, or the user's code says itself. The widths are those
# of the chapter's default and mean nothing: the network has its own.
HELD: Mapping[str, str] = {
    **CHAIN,
    "preparation": STANDARD,
    "members": "one",
    "pretraining": "none",
}
WITHOUT_CHOICE = (UNITS_AXIS, *HELD)
_UNITS = Stack.of().units


def for_network(
    space: Space, numbers: Mapping[str, OwnNumber], has_head: bool, voids: str
) -> Space:
    """Return a space for a user's own network: with its numbers, without what it does not have.

    Args:
        space: The space.
        numbers: The network's own numbers.
        has_head: Whether the stack makes its last layer.
        voids: Why it cannot be self-normalizing; empty: it can.

    Raises:
        RequestError: The space offers self-normalizing networks only.
    """
    arms = dict(space.arms)
    arms |= {axis: {choice: {}} for axis, choice in HELD.items()}
    arms[UNITS_AXIS] = {"list": {"units": Fixed(_UNITS)}}
    if not has_head:
        arms["head"] = {next(iter(CHOICE_AXES["head"])): {}}
    if voids:
        arms[BUNDLE_AXIS] = {"free": {}}
        if "free" not in space.arms[BUNDLE_AXIS]:
            raise RequestError(
                f"space '{space.name}' with a network that has {voids}",
                "plain dense layers: only they are self-normalizing",
                "take another --space or --profile",
            )
    return dataclasses.replace(space, arms=arms, network=numbers, voids=voids)


def filled(stack: Stack, numbers: Mapping[str, OwnNumber] | None) -> Stack:
    """Return a stack with just the numbers that its network asks for, missing ones as usual.

    The network that it gives is the same. The chapter's default has none of these numbers.
    """
    if not numbers:
        return stack
    others = {k: v for k, v in stack.to_json().items() if not k.startswith(PREFIX)}
    return Stack.from_json({**others, **asked_for(numbers, dict(stack.items))})


def put_into(stack: Stack, numbers: Mapping[str, OwnNumber]) -> Stack:
    """Return a stack of a user's as it is put into the network; one without its numbers has none.

    Raises:
        RequestError: The network does not ask for a number, or does not offer its value.
    """
    stack = held(stack)
    own = {k.removeprefix(PREFIX): v for k, v in stack.items if k.startswith(PREFIX)}
    for name, value in own.items():
        if name not in numbers:
            hint = nearest(name, [*numbers]) if numbers else ""
            raise RequestError(f"{PREFIX}{name} is no number of the network", hint=hint)
        if not numbers[name].domain.holds(value):
            raise RequestError(
                f"{PREFIX}{name} is {value!r}", f"a value of {numbers[name].domain.to_json()}"
            )
    return filled(stack, numbers) if own else stack


def held(stack: Stack) -> Stack:
    """Return a stack as it is put into a user's own network."""
    changes = {axis: choice for axis, choice in HELD.items() if stack[axis] != choice}
    return stack.but(units=list(_UNITS), **changes)
