"""A user's own network in an exported program: the values of `templates/own_network.py.jinja`."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any

from trainstack.search.own_network import OwnNetwork
from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.own_numbers import PREFIX
from trainstack.spaces.own_pretrained import CHOICE, FRESH, FROZEN_EPOCHS, RATE_FACTOR
from trainstack.spaces.stack import Stack
from trainstack.workers.engine import kernels
from trainstack.workers.export.expressions import keywords


@dataclass(frozen=True)
class ExportedNetwork:
    """What a program needs for a user's network, mostly as source text.

    Attributes:
        function: Name of the user's function.
        numbers: The network's own numbers by name.
        inputs: Shape of each input by name.
        parts: Each input made of the rows `x`.
        is_shaped: Whether an input has a shape of its own, whose positions share their statistics.
        activation: The layer; it may use `rank`, the axes of its inputs.
        initializer: Name of the initializer.
        gates: That of the kernels of gates.
        fan_average: Whether the initializer's variance is by the mean of both fans.
        penalty: Arguments of the weight penalty.
        kernels: What the kernels of a layer are.
        saved: Whether it takes layers of a saved model.
        is_fresh: Whether these start with fresh weights.
        by_fit: Whether the user's own model trains it, step by step.
        eager: Whether it is trained step by step in Python.
    """

    function: str
    numbers: dict[str, Any]
    inputs: dict[str, tuple[int, ...]]
    parts: list[str]
    is_shaped: bool
    activation: str
    initializer: str
    gates: str
    fan_average: bool
    penalty: str
    kernels: str
    saved: bool
    is_fresh: bool
    by_fit: bool
    eager: bool


def own_network(network: OwnNetwork, stack: Stack) -> ExportedNetwork:
    """Return what a program needs for a user's network.

    Args:
        network: The network.
        stack: The stack that is put into it.
    """
    initializer = INITIALIZERS[stack["initializer"]]
    form = initializer.name.rpartition("_")[2]
    source = inspect.getsource(kernels)
    return ExportedNetwork(
        function=network.function,
        numbers={k.removeprefix(PREFIX): v for k, v in stack.items if k.startswith(PREFIX)},
        inputs=dict(network.inputs),
        parts=_parts(network),
        is_shaped=any(len(shape) > 1 for _, shape in network.inputs),
        activation=_activation(stack),
        initializer=repr(initializer.name),
        gates=repr(f"glorot_{form}"),
        fan_average=initializer.fan == "fan_avg",
        penalty=keywords(stack.numbers("penalty")),
        kernels=source[source.index("_RECURRENT =") :].strip(),
        saved=bool(network.files),
        is_fresh=_choice(stack) == FRESH,
        by_fit=bool(network.fit),
        eager=network.eager,
    )


def thawing(stack: Stack, planned: int) -> dict[str, Any] | None:
    """Return in how many epochs the layers of a saved model are frozen, and the factor after them.

    None if they learn as the others do, or there are none. Layers that stay frozen are so in all
    planned epochs.
    """
    if _choice(stack) == FRESH:
        return None
    frozen = stack.get(PREFIX + FROZEN_EPOCHS, planned)
    return {"frozen": frozen, "rate_factor": stack.get(PREFIX + RATE_FACTOR, 0.0)}


def _choice(stack: Stack) -> str:
    return stack.get(PREFIX + CHOICE, FRESH)


def _parts(network: OwnNetwork) -> list[str]:
    """Return the expression of each input in its shape, made of rows `x`."""
    found, first = [], 0
    for place, (_, shape) in enumerate(network.inputs):
        size = math.prod(shape)
        part = "x" if len(network.inputs) == 1 else f"x[:, {first}:{first + size}]"
        if network.places:
            part = f"keras.ops.take(x, np.array({list(network.places[place])}), axis=1)"
        found.append(part if len(shape) == 1 else f"keras.layers.Reshape({shape})({part})")
        first += size
    return found


def _activation(stack: Stack) -> str:
    call = ACTIVATIONS[stack["activation"]].call
    assert call is not None
    numbers = keywords(call.keywords(stack.numbers("activation")))
    if stack["activation"] == "prelu":
        numbers += ", shared_axes=list(range(1, rank - 1)) or None"
    own = "" if call.path == "RReLU" else "keras."
    return f"{own}{call.path}({numbers})"
