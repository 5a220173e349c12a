"""The engine: an epoch as one program over data that stays on the device.

The inner loop is a function of (structure, weights, optimizer slots, numbers, data). The structure
is traced, and compiled where that pays; everything else is passed in, so one program serves every
trial of its structure. Model, optimizer and gradient are ordinary Keras 3 and TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from spaces.stack import Stack
from workers.build import fresh_kernel, initializer_of, make_optimizer, training_model
from workers.layers import Context
from workers.plan import plan
from workers.structure import Structure, as_vector, cycled_knob, knobs, run_time_numbers

# Rows of one forward pass when a loss is measured: bounds the memory of wide layers.
EVALUATION_ROWS = 16_384


class Knob(keras.Variable):
    """A number of an optimizer as a variable; Keras asks only whether it differs from zero."""

    def __ne__(self, other: object) -> bool:  # type: ignore[override]
        return True

    __hash__ = keras.Variable.__hash__


@dataclass(frozen=True)
class DeviceData:
    """One split on the device: x float32 [N, D] standardised; y int32 labels or float32 target."""

    x_train: tf.Tensor
    y_train: tf.Tensor
    x_valid: tf.Tensor
    y_valid: tf.Tensor

    @property
    def rows(self) -> tuple[int, int]:
        """Training and validation rows."""
        return cast(int, self.x_train.shape[0]), cast(int, self.x_valid.shape[0])

    @property
    def features(self) -> int:
        """Width of the input."""
        return cast(int, self.x_train.shape[1])


@dataclass(frozen=True)
class EpochResult:
    """What one call of the program gives.

    Attributes:
        train_loss: Mean penalty-free loss of the epoch's batches, as the weights moved.
        valid_loss: Penalty-free validation loss after the epoch.
        metric: Validation accuracy, or root mean squared error of the standardised target.
    """

    train_loss: float
    valid_loss: float
    metric: float


def losses(task: str, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Return each row's loss, shape [B].

    Cross-entropy in nats of the softmax of `outputs` [B, K], or the squared error of
    `outputs` [B, 1].
    """
    if task == "classification":
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=outputs)
    return tf.square(outputs[:, 0] - targets)


def scores(task: str, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Return each row's score, shape [B]: 1 where the class is right, or the squared error."""
    if task == "classification":
        right = tf.equal(tf.argmax(outputs, axis=1, output_type=tf.int32), targets)
        return tf.cast(right, tf.float32)
    return losses(task, targets, outputs)


class Program:
    """A structure's model, optimizer and compiled epoch; reset before each trial."""

    def __init__(self, structure: Structure, stack: Stack) -> None:
        self.structure = structure
        self.context = Context()
        self.model, self.hidden = training_model(
            stack, structure.features, structure.outputs, self.context
        )
        self.knobs = {name: Knob(0.0, trainable=False, name=name) for name in knobs(stack)}
        self.optimizer = make_optimizer(stack, self.knobs)
        self.optimizer.build(self.model.trainable_variables)
        dense = [layer for layer in self.model.layers if isinstance(layer, keras.layers.Dense)]
        self.kernels: list[Any] = [layer.kernel for layer in dense]
        self.hidden_kernels = self.kernels[:-1]
        self._penalized = stack["penalty"] != "none"
        self._bounded = stack["max_norm"] == "clip"
        self._clipping = stack["clipping"]
        self._at_start = [_thrifty(v.numpy()) for v in self._state]
        self._epoch = tf.function(
            self._trace_epoch, jit_compile=structure.compiled, autograph=False
        )
        self._forward = tf.function(
            lambda x: self.model(x, training=False), reduce_retracing=True, autograph=False
        )
        self.used = False

    @property
    def _state(self) -> list[Any]:
        return [*self.model.variables, *self.optimizer.variables]

    def reset(self, stack: Stack, seed: int) -> None:
        """Give the model fresh weights and the optimizer fresh slots.

        Args:
            stack: The trial's stack (of this program's structure).
            seed: Equal seeds give equal weights, whatever was trained before.
        """
        for variable, value in zip(self._state, self._at_start, strict=True):
            variable.assign(np.broadcast_to(value, variable.shape))
        network = plan(stack, self.structure.features, self.structure.outputs)
        dense = [node for node in network.nodes if node.role in ("dense", "head")]
        rng = np.random.default_rng([seed, 0])
        for kernel, node in zip(self.kernels, dense, strict=True):
            kernel.assign(fresh_kernel(initializer_of(node), tuple(kernel.shape), rng))
        for name, knob in self.knobs.items():
            knob.assign(stack[f"optimizer.{name}"])

    def epoch(
        self,
        stack: Stack,
        data: DeviceData,
        order: np.ndarray,
        rates: np.ndarray,
        momenta: np.ndarray | None,
        key: int,
    ) -> EpochResult:
        """Train one epoch and measure the validation loss.

        Args:
            stack: Whose run-time numbers to use.
            data: The split.
            order: int32 [steps, batch], rows of the training part.
            rates: float32 [steps], learning rates.
            momenta: float32 [steps] where the schedule moves the momentum, else None.
            key: Random key of the epoch's masks, below 2³².
        """
        if momenta is None:
            knob = cycled_knob(stack)
            fixed = stack[f"optimizer.{knob}"] if knob else 0.0
            momenta = np.full(len(rates), fixed, np.float32)
        numbers = as_vector(run_time_numbers(stack))
        result = self._epoch(
            *(data.x_train, data.y_train, data.x_valid, data.y_valid),
            *(tf.constant(order), tf.constant(rates, tf.float32)),
            *(tf.constant(momenta, tf.float32), tf.constant(numbers, tf.float32)),
            tf.constant(key, tf.uint32),
        )
        self.used = True
        train_loss, valid_loss, metric = (float(v) for v in result.numpy())
        return EpochResult(train_loss, valid_loss, metric)

    def outputs(self, x: np.ndarray | tf.Tensor) -> np.ndarray:
        """Return the head's outputs (logits, or the standardised prediction), shape [N, K]."""
        parts = [
            self._forward(tf.convert_to_tensor(x[k : k + EVALUATION_ROWS])).numpy()
            for k in range(0, len(x), EVALUATION_ROWS)
        ]
        return np.concatenate(parts)

    def loss(self, x: np.ndarray, y: np.ndarray) -> float:
        """Return the mean penalty-free loss of inputs [N, D] with targets [N]."""
        outputs = tf.constant(self.outputs(x))
        return float(tf.reduce_mean(losses(self.structure.task, tf.constant(y), outputs)))

    def weights(self) -> list[np.ndarray]:
        """Return copies of the model's variables."""
        return [np.array(v.numpy()) for v in self.model.variables]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Put back what `weights` gave."""
        for variable, value in zip(self.model.variables, weights, strict=True):
            variable.assign(value)

    def _trace_epoch(
        self,
        x_train: tf.Tensor,
        y_train: tf.Tensor,
        x_valid: tf.Tensor,
        y_valid: tf.Tensor,
        order: tf.Tensor,
        rates: tf.Tensor,
        momenta: tf.Tensor,
        numbers: tf.Tensor,
        key: tf.Tensor,
    ) -> tf.Tensor:
        """Trace the loop over the epoch's steps and the validation pass behind it."""
        rate, l1, l2, radius, limit = tf.unstack(numbers)
        self.context.rate = rate
        knob = self.knobs.get("momentum")

        def step(k: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            rows = tf.gather(order, k)
            self.context.key = key + tf.cast(k, tf.uint32) * tf.constant(0x85EBCA6B, tf.uint32)
            self.optimizer._learning_rate.assign(rates[k])
            if knob is not None:
                knob.assign(momenta[k])
            loss = self._step(
                tf.gather(x_train, rows), tf.gather(y_train, rows), l1, l2, radius, limit
            )
            return k + 1, total + loss

        steps = tf.shape(order)[0]
        _, total = tf.while_loop(
            lambda k, total: k < steps, step, (tf.constant(0), tf.constant(0.0))
        )
        valid = self._evaluate(x_valid, y_valid)
        return tf.concat([[total / tf.cast(steps, tf.float32)], valid], 0)

    def _step(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        l1: tf.Tensor,
        l2: tf.Tensor,
        radius: tf.Tensor,
        limit: tf.Tensor,
    ) -> tf.Tensor:
        """One update; returns the batch's penalty-free loss."""
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(losses(self.structure.task, y, self.model(x, training=True)))
            total = loss
            if self._penalized:
                for kernel in self.hidden_kernels:
                    w = tf.convert_to_tensor(kernel)
                    total += l1 * tf.reduce_sum(tf.abs(w)) + l2 * tf.reduce_sum(tf.square(w))
        variables = self.model.trainable_variables
        gradients = tape.gradient(total, [v.value for v in variables])
        if self._clipping == "value":
            gradients = [tf.clip_by_value(g, -limit, limit) for g in gradients]
        elif self._clipping == "norm":
            gradients, _ = tf.clip_by_global_norm(gradients, limit)
        self.optimizer.apply(gradients, variables)
        if self._bounded:
            for kernel in self.hidden_kernels:
                norms = tf.sqrt(tf.reduce_sum(tf.square(kernel.value), 0, keepdims=True))
                scale = tf.clip_by_value(norms, 0.0, radius) / (norms + 1e-7)
                kernel.assign(kernel.value * scale)
        return loss

    def _evaluate(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Mean loss and metric of the validation part, in slices that bound the memory."""
        task, rows = self.structure.task, cast(int, x.shape[0])
        loss = score = tf.constant(0.0)
        for start in range(0, rows, EVALUATION_ROWS):
            part = slice(start, start + EVALUATION_ROWS)
            outputs = self.model(x[part], training=False)
            loss += tf.reduce_sum(losses(task, y[part], outputs))
            score += tf.reduce_sum(scores(task, y[part], outputs))
        metric = score / rows
        return tf.stack([loss / rows, metric if task == "classification" else tf.sqrt(metric)])


def _thrifty(value: np.ndarray) -> np.ndarray:
    """Keep one number where all are equal (zeros and ones, mostly)."""
    flat = value.reshape(-1)
    return flat[0] if flat.size and (flat == flat[0]).all() else value


class Programs:
    """Compiled programs by structure, the least recently used dropped beyond `most`."""

    def __init__(self, most: int = 32) -> None:
        self.most = most
        self._programs: dict[Structure, Program] = {}

    def get(self, structure: Structure, make: Callable[[], Program]) -> tuple[Program, bool]:
        """Return the program of a structure and whether it was there already."""
        known = structure in self._programs
        program = self._programs.pop(structure) if known else make()
        self._programs[structure] = program
        while len(self._programs) > self.most:
            del self._programs[next(iter(self._programs))]
        return program, known

    def __contains__(self, structure: Structure) -> bool:
        return structure in self._programs
