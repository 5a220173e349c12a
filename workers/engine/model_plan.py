"""A stack as a plan of Keras layers, which the builder instantiates and the exporter prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainstack.search.data.inputs import Inputs
from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.choices import Call
from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class Node:
    """One layer.

    Attributes:
        role: `embedding`, `categories`, `dropout`, `dense`, `normalization`, `activation`, `scale`,
            `members` or `head`.
        path: Dotted name of a class below `keras`, a class of `trainstack.workers.engine.layers`,
            or a function of `trainstack.workers.engine.embeddings`.
        arguments: Keyword arguments; a `Call` stands for a nested Keras object.
        rates: Name of a weight of the layer, or path of a weight in a function's layers → key of
            the stack's number that multiplies its learning rate
            (`trainstack.workers.engine.structure.RATE_FACTORS`).
    """

    role: str
    path: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    rates: Mapping[str, str] = field(default_factory=dict)


# Path of the dense layer in the NTK parametrization (`trainstack.workers.engine.layers`).
NTK = "NTKDense"
# Path of the members' heads in the NTK parametrization.
NTK_HEAD = "NTKEinsumDense"

# The factor on the biases' learning rate.
_BIAS_RATE = {"bias": "bias_rate"}
# The factor on the learning rate of an embedding's two layers, by the paths of their weights.
_EMBEDDING_RATES = {
    f"{layer}/{weight}": "embedding.rate_factor"
    for layer in ("components", "mixture")
    for weight in ("kernel", "bias")
}


@dataclass(frozen=True)
class Block:
    """The layers of one hidden layer; `residual` adds the block's input to its output."""

    nodes: tuple[Node, ...]
    residual: bool = False


@dataclass(frozen=True)
class Plan:
    """A network: layers before the first block, hidden blocks, linear head."""

    entry: tuple[Node, ...]
    blocks: tuple[Block, ...]
    head: Node

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every layer in order."""
        return (*self.entry, *(n for block in self.blocks for n in block.nodes), self.head)


def plan(stack: Stack, inputs: Inputs, outputs: int) -> Plan:
    """Return a stack's plan of layers.

    Args:
        stack: Stack to build.
        inputs: What the (prepared) inputs are.
        outputs: Width of the head: classes, or 1 for regression.

    Returns:
        Embeddings of categories and numbers, input normalization, scale, members and dropout, one
        block per hidden layer (dense, normalization, activation, dropout in the stack's order), and
        a linear head with Glorot weights or zeros. The head gives logits: the loss and the exported
        model apply the softmax. Independent members have this plan each.
    """
    entry: list[Node] = []
    if columns := _embedded_columns(stack, inputs):
        given = {"columns": columns, "size": stack["categories.size"]}
        paths = [f"category_{number}/kernel" for number in range(len(columns))]
        rates = dict.fromkeys(paths, "categories.rate_factor")
        entry.append(Node("categories", "embedded_categories", given, rates))
    if stack["embedding"] != "none" and inputs.numbers:
        given = {"numbers": inputs.numbers, **stack.numbers("embedding")}
        del given["rate_factor"]
        entry.append(Node("embedding", stack["embedding"], given, _EMBEDDING_RATES))
    if stack["input_normalization"] == "batch":
        momentum = stack["input_normalization.momentum"]
        entry.append(Node("normalization", "layers.BatchNormalization", {"momentum": momentum}))
    if stack["input_scale"] == "learned":
        entry.append(_scale(first_width(stack, inputs)))
    if stack["members"] == "shared":
        entry.append(_members(stack["members.count"], first_width(stack, inputs)))
    if stack["dropout"] == "all":
        entry.append(_dropout(stack))
    blocks, width = [], first_width(stack, inputs)
    for place, units in enumerate(stack.units):
        last = place == len(stack.units) - 1
        drops = stack["dropout"] in ("all", "hidden") or (stack["dropout"] == "last" and last)
        nodes = (*_hidden(stack, units), *([_dropout(stack)] if drops else []))
        blocks.append(Block(nodes, stack["connection"] == "residual" and units == width))
        width = units
    return Plan(tuple(entry), tuple(blocks), _head(stack, outputs))


def _head(stack: Stack, outputs: int) -> Node:
    """Return the linear head; members that share the hidden layers have one each."""
    glorot = stack["head"] == "glorot"
    if stack["members"] != "shared":
        initializer = INITIALIZERS["glorot_uniform"].call if glorot else "zeros"
        head = {"units": outputs, "kernel_initializer": initializer}
        return Node("head", _dense(stack), head, _BIAS_RATE)
    count = stack["members.count"]
    each = {"equation": "bki,kio->bko", "output_shape": (count, outputs), "bias_axes": "ko"}
    path = "layers.EinsumDense" if stack["parametrization"] == "standard" else NTK_HEAD
    initializer = _each_glorot(count) if glorot else "zeros"
    return Node("head", path, {**each, "kernel_initializer": initializer}, _BIAS_RATE)


def _each_glorot(count: int) -> Call:
    """Return Glorot's uniform initializer for kernels [members, n, K].

    Keras takes the first axis for positions, and divides the variance by their number.
    """
    form = {"scale": float(count), "mode": "fan_avg", "distribution": "uniform"}
    return Call("initializers.VarianceScaling", form)


def first_width(stack: Stack, inputs: Inputs) -> int:
    """Return the width of the first layer's input: that of the embedded features."""
    columns = _embedded_columns(stack, inputs)
    more = sum(stack["categories.size"] - (end - first) for first, end in columns)
    return inputs.numbers * stack.get("embedding.width", 1) + inputs.others + more


def _embedded_columns(stack: Stack, inputs: Inputs) -> list[tuple[int, int]]:
    """Return `Inputs.columns` of the columns whose categories are embedded."""
    levels = stack.get("categories.levels")
    return [] if levels is None else inputs.columns(levels)


def _hidden(stack: Stack, units: int) -> tuple[Node, ...]:
    """Return dense, normalization and activation in the stack's order."""
    row = ACTIVATIONS[stack["activation"]]
    assert row.call is not None
    numbers = row.call.keywords(stack.numbers("activation"))
    if stack["activation"] == "prelu" and stack["members"] == "shared":
        numbers |= {"shared_axes": [1]}  # the slopes are the units', not the members'
    activation = Node("activation", row.call.path, numbers)
    placement = stack["normalization"]
    dense: dict[str, Any] = {"units": units}
    if placement == "before":  # the normalization's shift is the bias
        dense["use_bias"] = False
    dense["kernel_initializer"] = INITIALIZERS[stack["initializer"]].call
    if penalty := stack.numbers("penalty"):
        dense["kernel_regularizer"] = Call("regularizers.L1L2", penalty)
    if stack["max_norm"] == "clip":
        bound = {"max_value": stack["max_norm.radius"], "axis": 0}
        dense["kernel_constraint"] = Call("constraints.MaxNorm", bound)
    first = Node("dense", _dense(stack), dense, _BIAS_RATE)
    if placement == "none":
        return first, activation
    normalization = Node(
        "normalization",
        "layers.BatchNormalization",
        {"momentum": stack["normalization.momentum"]},
    )
    if placement == "before":
        return first, normalization, activation
    return first, activation, normalization


def _dense(stack: Stack) -> str:
    """Return the class of the dense layers."""
    return "layers.Dense" if stack["parametrization"] == "standard" else NTK


def _scale(features: int) -> Node:
    """Return a layer that multiplies each input by a learned number."""
    arguments = {"output_shape": features, "kernel_initializer": "ones", "name": "input_scale"}
    rates = {"kernel": "input_scale.rate_factor"}
    return Node("scale", "layers.EinsumDense", {"equation": "bf,f->bf", **arguments}, rates)


def _members(count: int, features: int) -> Node:
    """Return a layer that multiplies each input by learned numbers, one for each member."""
    arguments = {"output_shape": (count, features), "name": "member_scale"}
    return Node("members", "layers.EinsumDense", {"equation": "bf,kf->bkf", **arguments})


def _dropout(stack: Stack) -> Node:
    """Return dropout or alpha dropout at the stack's rate."""
    kind = "AlphaDropout" if stack.drops_alpha else "Dropout"
    return Node("dropout", f"layers.{kind}", {"rate": stack["dropout.rate"]})
