"""Networks of a user's own: their function run, its result checked, and its fresh weights."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import keras
import numpy as np

from trainstack.search.own_network import FLAG, OwnNetwork
from trainstack.search.saved_model import SavedModel
from trainstack.search.user_code import raised, run_code
from trainstack.spaces.domains import Domain
from trainstack.spaces.errors import RequestError
from trainstack.spaces.initializers import GLOROT, INITIALIZERS
from trainstack.spaces.own_pretrained import completed
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.architecture import UsedKernel
from trainstack.workers.engine.build import fresh_kernel
from trainstack.workers.engine.build_stack import Block, BuildStack
from trainstack.workers.engine.kernels import Kernel
from trainstack.workers.engine.layers import Context
from trainstack.workers.engine.saved_block import SavedBlock
from trainstack.workers.engine.variables import assign

# Activations that turn a head's numbers into probabilities.
_SHARES = (keras.activations.softmax, keras.activations.sigmoid)


@dataclass(frozen=True, eq=False)
class BuiltNetwork:
    """A user's network built for one stack: an `architecture.Architecture`.

    Attributes:
        network: The network.
        outputs: Width of its output.
        model: The network of rows [B, D].
        inside: The network of the inputs in their shapes.
        fitted: The model whose `fit` may train it: `inside`, or the user's with its own training.
        entry: Rows → the inputs in their shapes, as `inside` takes them.
        blocks: Its blocks, in the order in which they were made.
        top: The head, if the stack made it.
        asked: Numbers that it asked for, by name, in order.
        saved: The saved model that it takes layers of, or None.
        files: Saved models by the names that the user gives them.
    """

    network: OwnNetwork
    outputs: int
    model: keras.Model
    inside: keras.Model
    fitted: keras.Model
    entry: keras.Model
    blocks: tuple[Block, ...]
    top: Any
    asked: Mapping[str, Domain]
    saved: SavedBlock | None
    files: Mapping[str, SavedModel]

    @property
    def learner(self) -> keras.Model:
        """The network of training steps, which is the same."""
        return self.model

    @property
    def block_kernels(self) -> list[Kernel]:
        """The kernels of the blocks."""
        return [kernel for block in self.blocks for kernel in block.kernels]

    @property
    def hidden_kernels(self) -> list[UsedKernel]:
        """The kernels that penalties and max-norm apply to: those of the blocks."""
        return [UsedKernel(kernel.variable, kernel.incoming) for kernel in self.block_kernels]

    @property
    def kernels(self) -> list[UsedKernel]:
        """The same, and then that of the head if the stack made it."""
        head = [] if self.top is None else [UsedKernel(self.top.kernel)]
        return [*self.hidden_kernels, *head]

    @property
    def observed_kernels(self) -> list[Any]:
        """The kernel that makes each of the hidden outputs."""
        return [block.kernels[-1].variable for block in self.blocks]

    @property
    def hidden(self) -> list[Any]:
        """Output of each block, as a function of rows."""
        outputs = [block.output for block in self.blocks]
        found = keras.Model(self.inside.input, outputs)(self.entry.output)
        return found if isinstance(found, list) else [found]

    @property
    def pretrained(self) -> list[Any]:
        """The trainable variables of the saved model, unless they start fresh."""
        saved = self.saved
        return [] if saved is None or saved.is_fresh else saved.model.trainable_variables

    def completed(self, stack: Stack) -> Stack:
        """Return a stack with the network's choice about the saved model."""
        return completed(stack, self.asked)

    def rate_keys(self) -> list[str | None]:
        """Return `bias_rate` for the biases of blocks and head, in the order of the variables."""
        layers = [*(block.layer for block in self.blocks), *([self.top] if self.top else [])]
        biases = {id(each.bias) for each in layers if getattr(each, "bias", None) is not None}
        return ["bias_rate" if id(v) in biases else None for v in self.model.trainable_variables]

    @property
    def numbers_a_row(self) -> int:
        """Numbers of the largest output of a layer for one row."""
        layers = cast(Any, self.inside)._flatten_layers(include_self=False)
        shapes = [getattr(getattr(each, "output", None), "shape", ()) for each in layers]
        return max(math.prod(int(n or 1) for n in shape[1:]) for shape in shapes)

    def draw(self, stack: Stack, seed: int, data: Any = None, initializer: str = "") -> None:
        """Give the model the fresh weights of a seed; see `Architecture.draw`.

        Layers that the stack did not make have what Keras draws when they are built anew.
        """
        keras.utils.set_random_seed(seed)
        anew = built(self.network, stack, self.outputs, Context())
        assign(self.model.variables, [np.array(v.numpy()) for v in anew.model.variables])
        _draw_kernels(self, stack, seed, initializer)


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
    files, activations = dict(network.files), 0
    if stack["dropout"] == "last":
        activations = _run(network, BuildStack(stack, context, files=files), outputs)[0].activated
    made, fitted = _run(network, BuildStack(stack, context, activations, files), outputs)
    if not made.blocks:
        raise _wrong(network, "makes no layer with the stack", "stack.dense, stack.conv2d, …")
    rows: Any = keras.Input((sum(network.sizes),), name="rows")
    dropped = made.dropout(2)(rows) if stack["dropout"] == "all" else rows
    each, first = {}, 0
    for k, ((name, shape), size) in enumerate(zip(network.inputs, network.sizes, strict=True)):
        part: Any = dropped if len(network.sizes) == 1 else dropped[:, first : first + size]
        if network.places:
            part = keras.ops.take(dropped, np.array(network.places[k], np.int32), axis=1)
        each[name] = part if len(shape) == 1 else keras.layers.Reshape(shape)(part)
        first += size
    # Of Keras's own class, since the exported model has no code of the user's.
    inside = keras.Model(fitted.input, fitted.output) if own_training(fitted) else fitted
    parts = keras.tree.map_structure(lambda tensor: each[tensor.name], inside.input)
    blocks, asked = tuple(made.blocks), dict(made.asked)
    entry, model = keras.Model(rows, parts), keras.Model(rows, inside(parts))
    found = network, outputs, model, inside, fitted, entry, blocks, made.top, asked, made.saved
    return BuiltNetwork(*found, dict(made.files))


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
    whole = found if isinstance(found, keras.Model) else None
    if whole is not None:
        _check_inputs(network, whole, inputs.values())
        found = whole.output
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
    if whole is not None and (own_training(whole) or whole.run_eagerly):
        return made, whole
    try:
        return made, keras.Model(list(inputs.values()), found)
    except ValueError:
        raise _wrong(network, "returned an output that does not depend on its inputs") from None


def own_training(model: keras.Model) -> str:
    """Return which part of its training a model defines itself, such as `train_step`, or ''."""
    parts = ("fit", "train_step", "compute_loss")
    return next((p for p in parts if getattr(type(model), p) is not getattr(keras.Model, p)), "")


def _check_inputs(network: OwnNetwork, model: keras.Model, inputs: Iterable[Any]) -> None:
    """Refuse a model that is not made of the tensors which the function was given."""
    given = {id(tensor) for tensor in inputs}
    own = getattr(model, "inputs", None) or [None]
    if any(id(tensor) not in given for tensor in own):
        raise _wrong(
            network,
            f"returned a {type(model).__name__} that is not made of its inputs",
            "keras.Model(inputs, outputs), or a subclass made so",
        )


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


def _draw_kernels(found: BuiltNetwork, stack: Stack, seed: int, initializer: str) -> None:
    """Draw the kernels of the blocks and the head by a seed.

    Args:
        found: The network.
        stack: The stack, whose initializer is taken.
        seed: The seed.
        initializer: Name of another initializer for the blocks; empty: none.
    """
    rng = np.random.default_rng([seed, 0])
    name = initializer or stack["initializer"]
    form = name.rpartition("_")[2]
    gates = next(each for each in GLOROT if each.endswith(form))
    for kernel in found.block_kernels:
        if kernel.is_drawn:
            row = INITIALIZERS[gates if kernel.gated else name]
            shape = tuple(kernel.variable.shape)
            kernel.variable.assign(fresh_kernel(row, shape, rng, kernel.fans(shape)))
    if found.top is not None and stack["head"] != "zeros":
        shape = tuple(found.top.kernel.shape)
        found.top.kernel.assign(fresh_kernel(INITIALIZERS["glorot_uniform"], shape, rng))
