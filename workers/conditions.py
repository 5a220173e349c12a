"""Runs under a condition: other weights, inputs, labels, or lower layers trained before.

The one place that knows what a `Condition` does. The engine trains as ever: what differs is the
split that it gets, the weights that it begins with, and, where layers are reused, that the first
epochs train the upper layers alone, on what the frozen ones make of the inputs.

Reference: Bengio et al., "Greedy layer-wise training of deep networks", 2007 (unsupervised
pretraining); Yosinski et al., "How transferable are features in deep neural networks?", 2014.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from search.conditions import ALL, AUTOENCODER, EARLIER, UNIT, Condition
from search.records import CONFIRMATION, Measurement
from spaces.initializers import INITIALIZERS
from spaces.optimizers import OPTIMIZERS
from spaces.stack import Stack
from workers.build import fresh_kernel
from workers.checkpoint import Checkpoint
from workers.engine import EVALUATION_ROWS, Program
from workers.losses import RECONSTRUCTION
from workers.resident import DeviceData
from workers.train import Training

if TYPE_CHECKING:
    from workers.bench import Bench
    from workers.messages import Job

# Part of the epochs for which reused layers are frozen, and the learning rate's factor afterwards.
FROZEN_SHARE = 0.25
UNFROZEN_RATE = 1 / 3
# Unlabelled rows are plenty where there are so many times the labelled ones.
PLENTY = 4
# What a stack has to be for its lower layers to be reused: dense layers and nothing between them.
_REUSABLE = {
    **{"normalization": "none", "input_normalization": "none", "connection": "plain"},
    **{"dropout": "none"},
}


class UnmetError(Exception):
    """The data cannot serve the condition: the run is infeasible, and this says why."""


def check(job: Job, experiment: bool) -> None:
    """Refuse a condition anywhere but in a run of a designed experiment.

    Raises:
        ValueError: Somebody asked for it elsewhere, or of a stack whose layers cannot be reused.
    """
    if not job.condition:
        return
    assert job.stack is not None
    if job.kind != CONFIRMATION or not experiment:
        raise ValueError(f"a {job.kind} run under a condition: only experiments for claims have it")
    stack = job.stack
    fits = len(stack.units) > 1 and all(stack[axis] == to for axis, to in _REUSABLE.items())
    if job.condition.pretrained and not fits:
        raise ValueError("reused layers need two plain dense layers or more, and nothing between")


def outputs(condition: Condition, classes: int) -> int:
    """Return the width of the head: classes that are there, of so many (1 for a regression)."""
    if condition.classes == ALL:
        return classes
    earlier = (classes + 1) // 2
    return earlier if condition.classes == EARLIER else classes - earlier


def changed(split: Any, condition: Condition, classes: int, seed: int) -> Any:
    """Return a split as a condition leaves it; labels begin at 0 again.

    Args:
        split: A `search.data.split.Split`.
        condition: What to do.
        classes: How many classes the data has; 0: a regression.
        seed: Which labels are known, the same for every run with this seed.

    Raises:
        UnmetError: The data has too few classes or rows.
    """
    if condition.classes != ALL:
        split = _half(split, condition, classes)
    if condition.inputs == UNIT:
        low, high = split.x_train.min(axis=0), split.x_train.max(axis=0)
        split = replace(split, mean=low, scale=np.where(high > low, high - low, 1.0).astype("f4"))
    if condition.labels:
        split = _few_labels(split, condition.labels, seed)
    return split


def _half(split: Any, condition: Condition, classes: int) -> Any:
    if classes < 4:
        what = f"{classes} classes" if classes else "a regression"
        raise UnmetError(f"a related task of other classes needs 4 classes, and this is {what}")
    first = 0 if condition.classes == EARLIER else (classes + 1) // 2
    last = first + outputs(condition, classes)
    parts: dict[str, np.ndarray] = {}
    for part in ("train", "valid", "test"):
        x, y = getattr(split, f"x_{part}"), getattr(split, f"y_{part}")
        here = (y >= first) & (y < last)
        parts |= {f"x_{part}": x[here], f"y_{part}": (y[here] - first).astype(y.dtype)}
    return replace(split, **parts)


def _few_labels(split: Any, labels: int, seed: int) -> Any:
    """Keep so many training rows, class by class in turn; the inputs' statistics stay."""
    rows = len(split.y_train)
    if rows < PLENTY * labels:
        raise UnmetError(
            f"{labels} labels are scarce among {PLENTY * labels} training rows or more, "
            f"and this has {rows}"
        )
    order = np.random.default_rng([seed, 3]).permutation(rows)
    y = split.y_train[order]
    if y.dtype.kind != "f":  # labels: the first of each class, then the second of each, …
        turn = np.zeros(rows, int)
        for label in np.unique(y):
            turn[y == label] = np.arange((y == label).sum())
        order = order[np.argsort(turn, kind="stable")]
    kept = np.sort(order[:labels])
    return replace(split, x_train=split.x_train[kept], y_train=split.y_train[kept])


def redraw(program: Program, initializer: str, seed: int) -> None:
    """Draw the hidden layers' fresh weights anew, by another initializer.

    The random numbers are those of the stack's own initializer of that form, so the weights are
    its weights times a factor a layer.
    """
    row, rng = INITIALIZERS[initializer], np.random.default_rng([seed, 0])
    for kernel in program.hidden_kernels:
        kernel.assign(fresh_kernel(row, tuple(kernel.shape), rng))
    program.set_weights([np.array(variable.numpy()) for variable in program.model.variables])


def unfrozen(stack: Stack) -> Stack:
    """Return a stack with the lower rate that it goes on with when reused layers are unfrozen."""
    rate = stack["optimizer.learning_rate"] * UNFROZEN_RATE
    return stack.but(optimizer__learning_rate=rate)


class Reuse:
    """Trains lower layers, and lets a run begin with them; the last ones trained are kept.

    What an arm's rates are tried with has the same seed, and so the same lower layers.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._kept: tuple[Any, list[np.ndarray]] = ((), [])

    def start(self, job: Job, program: Program) -> Checkpoint:
        """Return a run's beginning: lower layers reused, the upper ones trained on top of them.

        The epochs so spent count as the run's own.
        """
        assert job.stack is not None
        lower = self._lower(job, job.stack)
        program.set_weights([*lower, *program.weights()[len(lower) :]])
        split, _ = self.bench.split(job.split_seed, job.condition)
        place = len(lower) // 2  # a kernel and a bias each
        below = keras.Model(program.model.input, program.hidden[place - 1])
        standard = split.standardised()
        data = DeviceData(
            *(_through(below, standard.x_train), tf.constant(standard.y_train)),
            *(_through(below, standard.x_valid), tf.constant(standard.y_valid)),
        )
        stack = job.stack.but(units=list(job.stack.units[place:]))
        upper, _ = self.bench.program(stack, data, job.epochs, job.again, program.structure.outputs)
        upper.reset(stack, job.seed)
        epochs = max(1, round(FROZEN_SHARE * job.epochs))
        trained = Training(upper, stack, job.seed, epochs, self.bench.untrained_loss(split))
        result = trained.run(data, lambda measurement: None)
        best = [*lower, *upper.weights()]
        slots = [np.array(variable.numpy()) for variable in program.optimizer.variables]
        known = result.measurements[: result.best_epoch]
        if result.outcome != "completed":  # said in the words of training itself
            known = (Measurement(1, float("nan"), float("nan"), float("nan")),)
        return Checkpoint(known, best, slots, best)

    def _lower(self, job: Job, stack: Stack) -> list[np.ndarray]:
        """Return the weights of all hidden layers but the last, at the optimizer's usual rate."""
        usual = OPTIMIZERS[stack["optimizer"]].parameters[0].default
        stack = stack.but(optimizer__learning_rate=usual)
        key = (job.condition, stack.stack_id, job.seed, job.split_seed, job.epochs)
        if self._kept[0] != key:
            self._kept = key, self._pretrained(job, stack)
        return self._kept[1][: 2 * (len(stack.units) - 1)]

    def _pretrained(self, job: Job, stack: Stack) -> list[np.ndarray]:
        """Train a whole network on what is there in plenty; return its weights."""
        bench, condition = self.bench, job.condition
        if condition.pretrained == AUTOENCODER:
            split, data = bench.split(job.split_seed, replace(condition, labels=0, pretrained=""))
            standard = split.standardised()
            x, valid = tf.constant(standard.x_train), tf.constant(standard.x_valid)
            data = DeviceData(x, x, valid, valid)
            width, task, untrained = data.features, RECONSTRUCTION, 1.0
        else:
            related = replace(condition, classes=condition.other_classes, labels=0, pretrained="")
            split, data = bench.split(job.split_seed, related)
            width, task = outputs(related, bench.spec.data.outputs), bench.spec.data.task
            untrained = bench.untrained_loss(split)
        program, _ = bench.program(stack, data, job.epochs, job.again, width, task)
        program.reset(stack, job.seed)
        Training(program, stack, job.seed, job.epochs, untrained).run(data, lambda measured: None)
        return program.weights()


def _through(layers: Any, x: np.ndarray) -> tf.Tensor:
    """Return what layers make of inputs [N, D], in slices that bound the memory."""
    parts = range(0, len(x), EVALUATION_ROWS)
    return tf.concat([layers(tf.constant(x[k : k + EVALUATION_ROWS])) for k in parts], 0)
