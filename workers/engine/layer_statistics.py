"""Statistics of each hidden layer's outputs and gradients on one batch."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.losses import losses
from trainstack.workers.engine.members import apart
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.streaming import StreamedData

# Rows of the batch: enough to estimate a deviation to a few per cent.
ROWS = 256
# A unit whose output varies less than this over the batch is dead.
DEAD_DEVIATION = 1e-6


def look_inside(
    program: Program, stack: Stack, data: DeviceData | StreamedData
) -> list[dict[str, float]]:
    """Measure every hidden layer on the first rows of the training part.

    Batch normalization uses the batch's own statistics, as in training; dropout is off.

    Returns:
        Per layer, first to last: `mean` and `deviation` of its outputs, `saturated` (share of
        outputs beyond the activation's bounds), `dead` (share of units that do not react), and
        `gradient_norm` (Euclidean, of the loss by the layer's kernel). Of independent members they
        are means over the members.
    """
    x: Any = data.head(ROWS)
    y = tf.convert_to_tensor(data.y_train[: len(x)])
    bounds = ACTIVATIONS[stack["activation"]].saturation
    if not program.independent:
        return _of_network(program, x, y, bounds)
    each = []
    for member in range(program.independent):
        program.model.take(member)
        each.append(_of_network(program, x, y, bounds))
    return [
        {name: fmean(layer[name] for layer in layers) for name in layers[0]}
        for layers in zip(*each, strict=True)
    ]


def _of_network(
    program: Program, x: Any, y: tf.Tensor, bounds: tuple[float | None, float | None]
) -> list[dict[str, float]]:
    """Measure every hidden layer of the weights in the program's Keras model."""
    averages = program.member.non_trainable_variables  # the forward pass changes them
    kept = [np.array(variable.numpy()) for variable in averages]
    program.context.rate = tf.constant(0.0)
    program.context.key = tf.constant(0, tf.uint32)
    inside = _probe(program)
    with tf.GradientTape() as tape:
        *hidden, outputs = inside(x, training=True)
        outputs, y = apart(outputs, y)
        loss = tf.reduce_mean(losses(program.structure.trained_on, y, outputs))
    kernels = [kernel.value for kernel in program.architecture.observed_kernels]
    gradients = tape.gradient(loss, kernels)
    for variable, value in zip(averages, kept, strict=True):
        variable.assign(value)
    return [
        _layer(output.numpy(), gradient, bounds)
        for output, gradient in zip(hidden, gradients, strict=True)
    ]


def _probe(program: Program) -> keras.Model:
    """Return a view of the program's network that also outputs the hidden layers; made once."""
    if not hasattr(program, "probe"):
        outputs = [*program.hidden, program.member.output]
        program.probe = keras.Model(program.member.input, outputs)  # type: ignore[attr-defined]
    return program.probe  # type: ignore[attr-defined]


def _layer(
    outputs: np.ndarray, gradient: Any, bounds: tuple[float | None, float | None]
) -> dict[str, float]:
    low, high = bounds
    beyond = np.zeros(outputs.shape, bool)
    if low is not None:
        beyond |= outputs < low
    if high is not None:
        beyond |= outputs > high
    return {
        "mean": float(outputs.mean()),
        "deviation": float(outputs.std()),
        "saturated": float(beyond.mean()),
        "dead": float((outputs.std(axis=0) < DEAD_DEVIATION).mean()),
        "gradient_norm": float(tf.norm(gradient)),
    }
