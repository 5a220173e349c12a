"""A linear network with one hidden layer, and its training written in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tests.support.engine_stacks import made_up_data, structure_of
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure

RATE, STEPS, BATCH = 0.05, 4, 8
LINEAR = Stack.of(units=[3], activation="linear", initializer="glorot_normal", batch_size=BATCH)

Weights = list[np.ndarray]
Step = Callable[[int, int, np.ndarray], np.ndarray]


def trained(stack: Stack, compiled: bool = False) -> tuple[Weights, Weights]:
    """Train a few steps at a constant rate; return the weights before and after.

    Biases start at 0.1.
    """
    x, y = (tf.constant(part[: BATCH * STEPS]) for part in made_up_data("regression"))
    program = _program(structure_of(stack, "regression", compiled), stack)
    program.reset(stack, 3)
    names = [variable.name for variable in program.model.variables]
    weights = zip(names, program.weights(), strict=True)
    program.set_weights([w + 0.1 * (name == "bias") for name, w in weights])
    start = program.weights()
    order = np.arange(BATCH * STEPS, dtype=np.int32).reshape(STEPS, BATCH)
    rates = np.full(STEPS, RATE, np.float32)
    program.epoch(stack, DeviceData(x, y, x, y), order, rates, None, key=1)
    return start, program.weights()


_programs: dict[Structure, Program] = {}


def _program(structure: Structure, stack: Stack) -> Program:
    """Return the program of a structure; like a trainer, tests that differ in numbers share it."""
    if structure not in _programs:
        _programs[structure] = Program(structure, stack)
    return _programs[structure]


def descended(stack: Stack, start: Weights, factors: Mapping[int, float]) -> Weights:
    """Return the weights after the same steps, in float64.

    Args:
        stack: The stack, whose optimizer is `sgd` or `adam`.
        start: Weights: scale of the inputs, if it has one; kernel, bias, kernel, bias.
        factors: Place of a weight → factor on its learning rate, if not 1.
    """
    now = [w.astype(np.float64) for w in start]
    step = {"sgd": _sgd, "adam": _adam}[stack["optimizer"]]()
    x, y = made_up_data("regression")
    kernel = len(now) - 4
    for t in range(1, STEPS + 1):
        rows = slice(BATCH * (t - 1), BATCH * t)
        found = _gradients(now, x[rows], y[rows])
        found[kernel] = found[kernel] + 2 * stack.get("penalty.l2", 0.0) * now[kernel]
        found[kernel] = found[kernel] + stack.get("penalty.l1", 0.0) * np.sign(now[kernel])
        for k, gradient in enumerate(found):
            now[k] = now[k] + factors.get(k, 1.0) * step(k, t, gradient)
        if (radius := stack.get("max_norm.radius")) is not None:
            norms = np.linalg.norm(now[kernel], axis=0)
            now[kernel] = now[kernel] * np.minimum(1.0, radius / norms)
    return now


def _gradients(weights: Weights, x: np.ndarray, y: np.ndarray) -> Weights:
    """Return the gradients of the mean squared error."""
    *scale, first, first_bias, head, head_bias = weights
    scaled = x * scale[0] if scale else x
    hidden = scaled @ first + first_bias
    slope = 2 * (hidden @ head + head_bias - y[:, None]) / len(x)
    below = slope @ head.T
    found = [scaled.T @ below, below.sum(0), hidden.T @ slope, slope.sum(0)]
    return [(x * (below @ first.T)).sum(0), *found] if scale else found


def _sgd() -> Step:
    return lambda k, t, g: -RATE * g


def _adam() -> Step:
    """Return Adam's step (Kingma and Ba 2015) with Keras's defaults, of weight k at step t."""
    moments: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def step(k: int, t: int, g: np.ndarray) -> np.ndarray:
        m, v = moments.get(k, (np.zeros_like(g), np.zeros_like(g)))
        moments[k] = m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        return -RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)

    return step
