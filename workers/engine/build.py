"""Building Keras objects from a stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np

from trainstack.search.data.inputs import Inputs
from trainstack.spaces.choices import Call
from trainstack.spaces.initializers import INITIALIZERS, Initializer
from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.embeddings import EMBEDDED
from trainstack.workers.engine.independent import independent_members
from trainstack.workers.engine.layers import (
    RUNTIME,
    Context,
    MemberHead,
    MemberScale,
    NTKDense,
    RReLU,
    Scale,
)
from trainstack.workers.engine.model_plan import NTK, NTK_HEAD, Node, Plan, plan
from trainstack.workers.engine.optimizer_updates import OWN

# Arguments that the engine applies itself, with run-time numbers; plain models leave them to Keras.
_ENGINES = ("kernel_regularizer", "kernel_constraint", "kernel_initializer")


def training_model(
    stack: Stack, inputs: Inputs, outputs: int, context: Context, policy: str = "float32"
) -> tuple[keras.Model, list[keras.KerasTensor]]:
    """Build the network as the engine trains it.

    Dropout reads its rate from `context`; the engine applies penalties, max-norm and fresh weights.
    The hidden layers use Keras's dtype policy `policy`; dropout, embeddings and the head stay in
    float32.

    Returns:
        The model, and the output of each hidden block.
    """
    places = iter(range(10_000))

    def make(node: Node) -> Callable[..., Any]:
        layer: Any = made(node)
        layer.rates = node.rates  # read by `rated`, once the layer has its weights
        return layer

    def made(node: Node) -> Callable[..., Any]:
        if node.path in EMBEDDED:
            return plain_layer(node)
        if node.path in RUNTIME:
            extra = node.arguments if RUNTIME[node.path] is RReLU else {}
            return RUNTIME[node.path](context, next(places), **extra)
        if node.role == "scale":
            return Scale(name=node.arguments["name"])
        if node.role == "members":
            return MemberScale(node.arguments["output_shape"][0], node.arguments["name"])
        kept = {k: v for k, v in node.arguments.items() if k not in _ENGINES}
        if node.role in ("dense", "head"):
            kept["kernel_initializer"] = "zeros"
        if node.role != "head":
            kept["dtype"] = policy
        if node.role == "head" and "equation" in kept:
            return MemberHead(node.path == NTK_HEAD, **kept)
        if node.path == NTK:
            return NTKDense(**kept)
        return keras_object(Call(node.path, kept))

    return _assemble(plan(stack, inputs, outputs), inputs, make)


def rated(model: keras.Model, network: Plan) -> list[str | None]:
    """Return the key of the number that multiplies each trainable variable's learning rate.

    Args:
        model: A model of `training_model`.
        network: Its plan.

    Returns:
        Keys in the order of the model's trainable variables; None: no number does.
    """
    keys = {
        id(variable): layer.rates.get(variable.name)
        for layer in model.layers
        if hasattr(layer, "rates")
        for variable in layer.trainable_variables
    }
    paths = {path: key for node in network.entry for path, key in node.rates.items()}
    return [
        keys.get(id(variable), paths.get(variable.path)) for variable in model.trainable_variables
    ]


def plain_model(stack: Stack, inputs: Inputs, outputs: int) -> keras.Model:
    """Build the network from Keras's own layers, regularizers and constraints only.

    Independent members are networks in it, with outputs [B, members, K].
    """
    network = plan(stack, inputs, outputs)
    if not (count := independent_members(stack)):
        return _assemble(network, inputs, plain_layer)[0]
    features = keras.Input((inputs.width,))
    members = [_assemble(network, inputs, plain_layer)[0](features) for _ in range(count)]
    return keras.Model(features, keras.ops.stack(members, axis=1))


def plain_layer(node: Node) -> Callable[..., Any]:
    """Make a node's Keras layer, or the layers of embeddings.

    RReLU becomes its inference form, leaky ReLU; NTK's dense layer ordinary ones, whose kernel is
    that of `Network.plain`.
    """
    if node.path in EMBEDDED:
        return partial(EMBEDDED[node.path], **node.arguments)
    if node.path == "RReLU":
        slope = (node.arguments["lower"] + node.arguments["upper"]) / 2
        return keras.layers.LeakyReLU(negative_slope=slope)
    plain = {NTK: "layers.Dense", NTK_HEAD: "layers.EinsumDense"}
    return keras_object(Call(plain.get(node.path, node.path), node.arguments))


def keras_object(call: Call) -> Any:
    """Make the Keras object that a call describes, nested calls first."""
    kind: Any = keras
    for name in call.path.split("."):
        kind = getattr(kind, name)
    made = {k: keras_object(v) if isinstance(v, Call) else v for k, v in call.arguments.items()}
    return kind(**made)


def _assemble(
    network: Plan, features: Inputs, make: Any
) -> tuple[keras.Model, list[keras.KerasTensor]]:
    inputs = outputs = keras.Input((features.width,))
    for node in network.entry:
        outputs = make(node)(outputs)
    hidden = []
    for block in network.blocks:
        before = outputs
        for node in block.nodes:
            outputs = make(node)(outputs)
        if block.residual:
            outputs = keras.layers.Add()([before, outputs])
        hidden.append(outputs)
    return keras.Model(inputs, make(network.head)(outputs)), hidden


def training_optimizer(stack: Stack, knobs: Mapping[str, Any]) -> keras.Optimizer:
    """Make the stack's optimizer as the engine uses it; `knobs` are its run-time variables."""
    return _optimizer(stack, knobs, OWN)


def networks_optimizer(
    stack: Stack, knobs: Mapping[str, Any], flat: list[keras.Variable]
) -> tuple[keras.Optimizer, list[keras.Variable]]:
    """Make the optimizer of several networks, built for their weights.

    Every optimizer works element by element, so scalars of shape [networks, 1] broadcast.

    Args:
        stack: The networks' stack.
        knobs: Run-time variables, [networks, 1].
        flat: Variables [networks, N].

    Returns:
        The optimizer, and its variables in the order of `training_optimizer`'s, each with a
        leading axis of networks.
    """
    networks = int(flat[0].shape[0])
    optimizer = training_optimizer(stack, knobs)
    optimizer.build(flat)
    before, own = list(optimizer.variables), {}
    for name, value in list(vars(optimizer).items()):
        if isinstance(value, keras.Variable) and len(value.shape) == 0:
            each = np.full((networks, 1), value.numpy())
            own[id(value)] = keras.Variable(each, dtype=value.dtype, trainable=False)
            setattr(optimizer, name, own[id(value)])
    return optimizer, [own.get(id(variable), variable) for variable in before]


def make_optimizer(stack: Stack, knobs: Mapping[str, Any] | None = None) -> keras.Optimizer:
    """Make the stack's Keras optimizer; `knobs` replaces some numbers with variables."""
    return _optimizer(stack, knobs or {}, {})


def _optimizer(
    stack: Stack, knobs: Mapping[str, Any], own: Mapping[str, type[keras.Optimizer]]
) -> keras.Optimizer:
    call = OPTIMIZERS[stack["optimizer"]].call
    keywords = call.keywords(stack.numbers("optimizer"))
    kind = own.get(call.path)
    optimizer = kind(**keywords) if kind else keras_object(Call(call.path, keywords))
    for name, knob in knobs.items():
        setattr(optimizer, name, knob)
    return optimizer


def fresh_kernel(
    row: Initializer,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    fans: tuple[float, float] | None = None,
) -> np.ndarray:
    """Draw a kernel from the initializer's distribution.

    Args:
        row: Row of the table of initializers.
        shape: Its shape.
        rng: Source of randomness.
        fans: (fan_in, fan_out); None: they are the shape.

    Returns:
        float32 array of that shape. The normal form is truncated at two deviations and rescaled to
        the table's variance, as Keras does.
    """
    fan_in, fan_out = fans or shape
    deviation = row.variance(fan_in, fan_out) ** 0.5
    if row.name.endswith("uniform"):
        limit = deviation * 3**0.5
        return rng.uniform(-limit, limit, shape).astype(np.float32)
    draws = rng.standard_normal(shape, dtype=np.float32)
    while (far := np.abs(draws) > 2.0).any():
        draws[far] = rng.standard_normal(int(far.sum()), dtype=np.float32)
    # Deviation of a standard normal truncated at ±2.
    return draws * np.float32(deviation / 0.8796256610342398)


def initializer_of(node: Node) -> Initializer | None:
    """Return the row of the table of initializers for a dense node; None: it starts at 0."""
    call = node.arguments["kernel_initializer"]
    if node.role == "head" and call != "zeros":
        return INITIALIZERS["glorot_uniform"]
    return next((row for row in INITIALIZERS.values() if row.call == call), None)
