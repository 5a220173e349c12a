"""A network's initial weights: drawn by a seed, and fitted to training rows if its stack asks.

Layer by layer, first to last: each hidden layer sees what the layers below, with their initial
weights, make of the rows. Dropout is off, and batch normalization passes its inputs on, as its
averages are fresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import keras
import numpy as np

from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import fresh_kernel, initializer_of
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.layers import MemberScale
from trainstack.workers.engine.model_plan import Node
from trainstack.workers.engine.streaming import StreamedData

# Most training rows that initial weights are fitted to.
ROWS = 1024
# Rows that a bias combines.
COMBINED = 5


class Chain(Protocol):
    """Dense layers one after the other (`trainstack.workers.engine.dense_chain.DenseChain`)."""

    @property
    def dense(self) -> list[Any]:
        """The dense layers, the head last."""
        ...

    @property
    def gains(self) -> list[float]:
        """Numbers by which they multiply their kernels in use."""
        ...

    @property
    def stages(self) -> list[keras.Model]:
        """The network between them."""
        ...


def set_kernels(chain: Chain, nodes: Sequence[Node], seed: int, initializer: str = "") -> None:
    """Draw the kernels of the dense layers.

    Args:
        chain: The network, whose weights are zeros or ones.
        nodes: Its dense nodes, the head last.
        seed: Seed of the weights.
        initializer: Name of an initializer for the hidden layers instead of the stack's own; it
            takes the same random numbers.
    """
    rng = np.random.default_rng([seed, 0])
    for layer, gain, node in zip(chain.dense, chain.gains, nodes, strict=True):
        row = initializer_of(node)
        if initializer and node.role == "dense":
            row = INITIALIZERS[initializer]
        if row is not None:
            *members, n, width = layer.kernel.shape
            drawn = [
                fresh_kernel(row, (n, width), rng) for _ in range(members[0] if members else 1)
            ]
            layer.kernel.assign(np.reshape(drawn, layer.kernel.shape) / np.float32(gain))


def set_signs(model: keras.Model, seed: int) -> None:
    """Start the members' scales of the inputs with random signs, by a seed."""
    rng = np.random.default_rng([seed, 6])
    for layer in model.layers:
        if isinstance(layer, MemberScale):
            signs = rng.integers(0, 2, size=layer.kernel.shape) * 2.0 - 1.0
            layer.kernel.assign(signs.astype(np.float32))


def is_fitted(stack: Stack) -> bool:
    """Return whether a stack's initial weights depend on training rows."""
    return stack["bias"] == "data" or stack["calibration"] == "weights"


def fit(chain: Chain, stack: Stack, seed: int, data: DeviceData | StreamedData | None) -> None:
    """Calibrate the hidden kernels and set the hidden biases, as the stack says.

    Args:
        chain: The network with its kernels drawn.
        stack: Its stack.
        seed: Seed of biases and of the sample of rows.
        data: The split, of which up to ROWS training rows are used; None is enough for a stack
            whose initial weights need none.

    Raises:
        ValueError: The stack's initial weights need rows, and there are none.
    """
    rng = np.random.default_rng([seed, 4])
    layers = chain.dense[:-1]
    if stack["bias"] == "normal":
        for layer in layers:
            layer.bias.assign(rng.standard_normal(layer.units, dtype=np.float32))
    if not is_fitted(stack):
        return
    if data is None:
        raise ValueError("the initial weights of this stack need training rows")
    x = data.inputs(rng.choice(data.rows[0], min(ROWS, data.rows[0]), replace=False))
    for stage, layer, gain in zip(chain.stages, layers, chain.gains, strict=False):
        x = stage(x, training=False)
        kernel = gain * layer.kernel.numpy()
        if stack["calibration"] == "weights":
            kernel /= deviations(_products(x, kernel))
            layer.kernel.assign(kernel / np.float32(gain))
        if stack["bias"] == "data":
            layer.bias.assign(-combinations(_products(x, kernel), rng))


def _products(x: Any, kernel: np.ndarray) -> np.ndarray:
    """Return x · kernel, [N, K]; the inputs of members [N, members, n] are rows like others."""
    return np.reshape(x @ kernel, [-1, kernel.shape[1]])


def deviations(values: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each column, [K]; 1 for a constant one.

    Reference: Mishkin and Matas, "All you need is a good init", 2016.
    """
    found = np.asarray(values).std(axis=0)
    return np.where(found > 0.0, found, 1.0).astype(np.float32)


def combinations(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random convex combination of COMBINED rows of each column, [N, K] → [K].

    The shares are exponential numbers divided by their sum, which makes them uniform on the
    simplex. As a negative bias it puts a unit's kink among the rows.

    Reference: Steinwart, "A Sober Look at Neural Network Initializations", 2019 (arXiv 1903.11482).
    """
    columns = values.shape[1]
    rows = rng.integers(len(values), size=(COMBINED, columns))
    shares = rng.exponential(size=(COMBINED, columns))
    return (shares / shares.sum(axis=0) * np.take_along_axis(values, rows, axis=0)).sum(axis=0)
