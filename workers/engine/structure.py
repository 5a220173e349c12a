"""The parts of a stack that shape a compiled program, and its run-time numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from trainstack.search.data.inputs import Inputs
from trainstack.search.metrics.losses import LOSSES
from trainstack.search.metrics.table import USUAL_LOSS
from trainstack.search.own_network import OwnNetwork
from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.own_pretrained import SCHEDULED
from trainstack.spaces.stack import Stack

# Optimizer parameters that are run-time values. The others (betas, rho, epsilon) are constants of
# the program, because spaces rarely vary them.
KNOBS = ("momentum", "weight_decay")

# Numbers of a stack that multiply the learning rate of some weights; `Node.rates` tells which. They
# are run-time values, but a program has the product only where its stack's factor is not 1.
RATE_FACTORS = (
    *("bias_rate", "embedding.rate_factor", "input_scale.rate_factor"),
    "categories.rate_factor",
)

# On a CPU a bundle saves most of the time of a step's calls for each network, in seconds, and less
# the larger its products are: with this many multiplications in a forward pass it saves nothing
# (docs/engine.md, `python -m benchmarks.bundles`). XLA leaves fewer calls to save.
CALLS_SECONDS, MOST_PRODUCTS_ON_CPU = 70e-6, 8_000_000
COMPILED_CALLS_SECONDS = 25e-6
# Tracing a bundle takes this many seconds for each of its networks and layers.
TRACING_SECONDS = 0.035
# Compiling a bundle costs this many times as much as compiling one network.
BUNDLE_COSTS = 1.25

_PRETRAINING = ("length", "learning_rate", "corruption", "frozen", "rate_factor")
# Stack keys that never change the program: run-time numbers, choices applied on the host, and the
# distribution of initial weights.
_FREE = (
    *(
        "initializer",
        "preparation",
        "stopping",
        "plan_fraction",
        "schedule",
        "head",
        "bias",
        "calibration",
        "dropout.rate",
        "penalty.l1",
        "penalty.l2",
        "embedding.sigma",
        *(f"pretraining.{k}" for k in _PRETRAINING),
    ),
    *("max_norm.radius", "clipping.limit", "optimizer.learning_rate", "decay.weight_decay"),
    *(f"optimizer.{knob}" for knob in KNOBS),
    *SCHEDULED,
)

# Run-time numbers of a program, in the order in which it expects them.
NUMBERS = ("rate", "l1", "l2", "radius", "limit", "smoothing", "decay", *RATE_FACTORS)


@dataclass(frozen=True)
class Structure:
    """Key of a compiled program.

    Attributes:
        stack: Items of the stack that shape the program.
        inputs: What the features are.
        outputs: Width of the head.
        task: `classification` or `regression`.
        rows: Training and validation rows.
        compiled: True for XLA.
        precision: `float32`, or `mixed`: products in bfloat16, weights and sums in float32.
        transform: `log` if the outputs are standardised logarithms of the target, else `none`.
        loss: Name of the loss (`trainstack.search.metrics.losses`); empty: the task's usual one.
        answers: Whether an epoch also returns the outputs for the validation part.
        networks: Number of networks of a bundle; 0: a program of one network.
        network: The network of the user's own; None: the stack's dense layers.
    """

    stack: tuple[tuple[str, Any], ...]
    inputs: Inputs
    outputs: int
    task: str
    rows: tuple[int, int]
    compiled: bool
    precision: str = "float32"
    transform: str = "none"
    loss: str = ""
    answers: bool = False
    networks: int = 0
    network: OwnNetwork | None = None

    @property
    def trained_on(self) -> str:
        """Name of the loss, or of a task besides the data's own."""
        return self.loss or USUAL_LOSS.get(self.task, self.task)

    @property
    def classifies(self) -> bool:
        """Whether the loss is one of classes."""
        return self.trained_on in LOSSES and LOSSES[self.trained_on].task == "classification"


def shaping_items(stack: Stack) -> tuple[tuple[str, Any], ...]:
    """Return the items of a stack that a compiled program depends on.

    The item of a rate factor tells whether it differs from 1.
    """
    items = {
        key: value != 1.0 if key in RATE_FACTORS else value
        for key, value in stack.items
        if key not in _FREE and not key.startswith(("schedule.", "stopping.", "averaging."))
    }
    items["label_smoothing"] = stack["label_smoothing"] > 0.0  # how much is a run-time number
    return tuple(items.items())


def knobs(stack: Stack) -> tuple[str, ...]:
    """Return the optimizer's parameters that are run-time values in this stack's program."""
    return tuple(k for k in KNOBS if f"optimizer.{k}" in dict(stack.items))


def run_time_numbers(stack: Stack) -> dict[str, float]:
    """Return the numbers that a trial passes to its program.

    A number that is not active is 0, a rate factor 1.
    """
    return {
        "rate": stack.get("dropout.rate", 0.0),
        "l1": stack.get("penalty.l1", 0.0),
        "l2": stack.get("penalty.l2", 0.0),
        "radius": stack.get("max_norm.radius", 0.0),
        "limit": stack.get("clipping.limit", 0.0),
        "smoothing": stack["label_smoothing"],
        "decay": stack.get("decay.weight_decay", stack.get("optimizer.weight_decay", 0.0)),
        **{key: stack.get(key, 1.0) for key in RATE_FACTORS},
    }


def usual_momentum(stack: Stack) -> float:
    """Return the momentum when the schedule does not change it; 0 if it never does."""
    knob = OPTIMIZERS[stack["optimizer"]].cycles
    return stack[f"optimizer.{knob}"] if knob else 0.0


def worth_compiling(stack: Stack, features: int, steps: int, runs: int = 1) -> bool:
    """Return whether compiling with XLA is estimated to save more step time than it costs.

    Args:
        stack: Stack to train.
        features: Width of the first layer's input.
        steps: Steps of one run without early stopping.
        runs: Number of runs that will use the program.
    """
    return _gained_by_compiling(stack, features, steps, runs) > 0


def _gained_by_compiling(stack: Stack, features: int, steps: int, runs: int) -> float:
    """Return the seconds that compiling one network's program saves; less than 0: it costs."""
    return saved_seconds_a_step(stack, features) * steps * runs - compiling_seconds(stack)


def worth_compiling_bundle(stack: Stack, features: int, steps: int, networks: int) -> bool:
    """Return `worth_compiling` for a bundle that is used once.

    Args:
        stack: Stack of its networks.
        features: Width of the first layer's input.
        steps: Steps of one network without early stopping.
        networks: Number of networks.
    """
    saved = networks * _saved_by_weights(stack, features) + _saved_by_layers(stack)
    return saved * steps > BUNDLE_COSTS * compiling_seconds(stack)


def compiling_seconds(stack: Stack) -> float:
    """Estimate the cost of compiling beyond tracing (`python -m benchmarks.compiling`)."""
    return 0.70 + 0.18 * len(stack.units)


def saved_seconds_a_step(stack: Stack, features: int) -> float:
    """Estimate the time that a compiled step saves, measured as `compiling_seconds`.

    The saving is in passes over each hidden weight and in calls of each layer's operations.
    """
    return _saved_by_weights(stack, features) + _saved_by_layers(stack)


def _saved_by_weights(stack: Stack, features: int) -> float:
    """Return the part that each network of a bundle saves."""
    return 1.6e-9 * _hidden_weights(stack, features)


def _saved_by_layers(stack: Stack) -> float:
    """Return the part that a bundle saves once, because its networks share the calls."""
    return (0.02e-3 if stack["normalization"] == "none" else 0.07e-3) * len(stack.units)


def _hidden_weights(stack: Stack, features: int) -> int:
    """Return the number of hidden weights, each as often as a row passes it: once per member."""
    weights = sum(a * b for a, b in pairwise((features, *stack.units)))
    return weights * stack.get("members.count", 1)


def worth_bundling(stack: Stack, features: int, steps: int, networks: int, device: str) -> bool:
    """Return whether networks of a stack train faster at once than one after the other.

    Both are estimated with the use of XLA that suits them. One after the other, networks share one
    compiled program; a bundle is compiled for itself.

    Args:
        stack: Their stack.
        features: Width of the first layer's input.
        steps: Steps of one network without early stopping.
        networks: Number of networks.
        device: `cpu` or `gpu`.
    """
    if device == "gpu":
        return True
    products = stack["batch_size"] * _hidden_weights(stack, features)
    share = max(0.0, 1 - products / MOST_PRODUCTS_ON_CPU)
    if worth_compiling_bundle(stack, features, steps, networks):
        per_step = saved_seconds_a_step(stack, features) + share * COMPILED_CALLS_SECONDS
        saved = networks * steps * per_step - BUNDLE_COSTS * compiling_seconds(stack)
    else:
        saved = networks * steps * share * CALLS_SECONDS
    tracing = networks * TRACING_SECONDS * len(stack.units)
    return saved - tracing > max(0.0, _gained_by_compiling(stack, features, steps, networks))


def as_vector(numbers: Mapping[str, float]) -> list[float]:
    """Return the run-time numbers in the order that a program expects."""
    return [numbers[name] for name in NUMBERS]
