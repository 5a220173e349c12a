"""Networks of a user's own: their function run, its result checked, and its fresh weights."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, cast

import keras
import numpy as np

from trainstack.search.own_network import FLAG, OwnNetwork
from trainstack.search.user_code import raised, run_code
from trainstack.spaces.domains import Domain
from trainstack.spaces.errors import RequestError
from trainstack.spaces.initializers import GLOROT, INITIALIZERS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import fresh_kernel
from trainstack.workers.engine.build_stack import Block, BuildStack
from trainstack.workers.engine.kernels import Kernel
from trainstack.workers.engine.layers import Context

# Activations that turn a head's numbers into probabilities.
_SHARES = (keras.activations.softmax, keras.activations.sigmoid)


@dataclass(frozen=True, eq=False)
class BuiltNetwork:
    """A user's network, built for one stack.

    Attributes:
        model: The network of rows [B, D].
        inside: The network of the inputs in their shapes, as the user built it.
        parts: The inputs in their shapes, made of rows.
        blocks: Its blocks, in the order in which they were made.
        top: The head, if the stack made it.
        asked: Numbers that it asked for, by name, in order.
    """

    model: keras.Model
    inside: keras.Model
    parts: Sequence[Any]
    blocks: tuple[Block, ...]
    top: Any
    asked: Mapping[str, Domain]

    @property
    def hidden_kernels(self) -> list[Kernel]:
        """The kernels that penalties and max-norm apply to: those of the blocks."""
        return [kernel for block in self.blocks for kernel in block.kernels]

    @cached_property
    def hidden(self) -> list[Any]:
        """Output of each block, as a function of rows."""
        outputs = [block.output for block in self.blocks]
        found = keras.Model(self.inside.inputs, outputs)(list(self.parts))
        return found if isinstance(found, list) else [found]

    def rates(self) -> dict[int, str]:
        """Return the number that multiplies the learning rate of a variable, by its identity."""
        layers = [*(block.layer for block in self.blocks), *([self.top] if self.top else [])]
        return {
            id(each.bias): "bias_rate" for each in layers if getattr(each, "bias", None) is not None
        }

    @property
    def largest(self) -> int:
        """Numbers of the largest output of a layer for one row."""
        shapes = [each.output.shape for each in self.inside.layers if hasattr(each.output, "shape")]
        return max(math.prod(int(n or 1) for n in shape[1:]) for shape in shapes)


def built(
    network: OwnNetwork, stack: Stack, outputs: int, context: Context | None = None
) -> BuiltNetwork:
    """Build a user's network for a stack.

    Args:
        network: The network.
        stack: The stack.
        outputs: Width of its output.
        context: Run-time values of the engine's layers; None: of Keras's own layers only.

    Raises:
        RequestError: The function raises, or what it returns is no such network; with its line.
    """
    activations = 0
    if stack["dropout"] == "last":
        activations = _run(network, BuildStack(stack, context), outputs)[0].activated
    made, inside = _run(network, BuildStack(stack, context, activations), outputs)
    if not made.blocks:
        raise _wrong(network, "makes no layer with the stack", "stack.dense, stack.conv2d, …")
    inputs: Any = keras.Input((sum(network.sizes),), name="rows")
    rows = inputs
    if stack["dropout"] == "all":
        inputs = made.dropout(2)(inputs)
    parts, first = [], 0
    for place, ((_, shape), size) in enumerate(zip(network.inputs, network.sizes, strict=True)):
        part = inputs if len(network.sizes) == 1 else inputs[:, first : first + size]
        if network.places:
            part = keras.ops.take(inputs, np.array(network.places[place], np.int32), axis=1)
        parts.append(part if len(shape) == 1 else keras.layers.Reshape(shape)(part))
        first += size
    model = keras.Model(rows, inside(parts if len(parts) > 1 else parts[0]))
    return BuiltNetwork(model, inside, parts, tuple(made.blocks), made.top, dict(made.asked))


def _run(network: OwnNetwork, made: BuildStack, outputs: int) -> tuple[BuildStack, keras.Model]:
    """Call the user's function; return the stack that it used, and its model of the inputs."""
    function = _function(network.file, network.function, network.code)
    inputs = {name: keras.Input(shape, name=name) for name, shape in network.inputs}
    several = len(inputs) > 1
    given: Any = inputs if several else next(iter(inputs.values()))
    try:
        found = function(made, given, outputs)
    except RequestError as error:
        frame = raised(FLAG, network.file, network.function, error)
        place = frame.problem[frame.problem.rindex("(") :]
        raise RequestError(f"{FLAG}: {error.problem} {place}", error.expected, error.hint) from None
    except (Exception, SystemExit) as error:
        raise raised(FLAG, network.file, network.function, error) from None
    if isinstance(found, keras.Model):
        _check_model(network, found)
        try:
            found = found(given)
        except Exception as error:
            raise raised(FLAG, network.file, "the model", error) from None
    if not isinstance(found, keras.KerasTensor):
        shown = " ".join(repr(found).split())[:60]
        raise _wrong(network, f"returned {shown}", "a keras.Model or its output tensor")
    if tuple(found.shape) != (None, outputs):
        raise _wrong(
            network, f"returned an output of shape {tuple(found.shape)}", f"(None, {outputs})"
        )
    layer = cast(Any, found)._keras_history.operation
    if isinstance(layer, keras.layers.Softmax) or getattr(layer, "activation", None) in _SHARES:
        raise _wrong(
            network,
            "returned probabilities",
            "the numbers before softmax",
            "use stack.head(outputs)",
        )
    try:
        return made, keras.Model(list(inputs.values()), found)
    except ValueError:
        raise _wrong(network, "returned an output that does not depend on its inputs") from None


def _check_model(network: OwnNetwork, model: keras.Model) -> None:
    for name in ("train_step", "compute_loss"):
        if getattr(type(model), name, None) is not getattr(keras.Model, name):
            raise _wrong(network, f"returned a model with a {name} of its own", "Keras's own")


def _wrong(network: OwnNetwork, what: str, expected: str = "", hint: str = "") -> RequestError:
    return RequestError(f"{FLAG}: {network.place} {what}", expected, hint)


@cache
def _function(file: str, name: str, code: str) -> Callable[..., Any]:
    """Run a user's file and return its function."""
    module = run_code(FLAG, file, code)
    sys.modules.setdefault(module.__name__, module)  # Keras finds its layers there
    found = getattr(module, name, None)
    if not callable(found):
        raise RequestError(f"{FLAG}: {name} in {file} is no function", "a function")
    return found


def fresh_variables(network: OwnNetwork, stack: Stack, outputs: int, seed: int) -> list[np.ndarray]:
    """Return the variables of the network as Keras draws them by a seed, in the model's order."""
    keras.utils.set_random_seed(seed)
    model = built(network, stack, outputs, Context()).model
    return [np.array(variable.numpy()) for variable in model.variables]


def draw_kernels(found: BuiltNetwork, stack: Stack, seed: int, initializer: str = "") -> None:
    """Draw the kernels of the blocks and the head by a seed.

    Args:
        found: The network.
        stack: The stack, whose initializer is taken.
        seed: The seed.
        initializer: Name of another initializer for the blocks.
    """
    rng = np.random.default_rng([seed, 0])
    name = initializer or stack["initializer"]
    form = name.rpartition("_")[2]
    gates = next(each for each in GLOROT if each.endswith(form))
    for kernel in found.hidden_kernels:
        if kernel.is_drawn:
            row = INITIALIZERS[gates if kernel.gated else name]
            shape = tuple(kernel.variable.shape)
            kernel.variable.assign(fresh_kernel(row, shape, rng, kernel.fans(shape)))
    if found.top is not None and stack["head"] != "zeros":
        shape = tuple(found.top.kernel.shape)
        found.top.kernel.assign(fresh_kernel(INITIALIZERS["glorot_uniform"], shape, rng))
