"""The engine: an epoch as one program over data that stays on the device.

The inner loop is a function of (structure, weights, optimizer slots, numbers, data). The structure
is traced, and compiled if that pays off; everything else is passed in, so one program serves every
trial of its structure. Model, optimizer and gradient are ordinary Keras 3 and TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from trainstack.search.data.splitting import LOG
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import (
    fresh_kernel,
    initializer_of,
    training_model,
    training_optimizer,
)
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.layers import Context
from trainstack.workers.engine.losses import inverted, losses, scores
from trainstack.workers.engine.model_plan import plan
from trainstack.workers.engine.optimizer_updates import global_norm
from trainstack.workers.engine.packing import Packing
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.structure import (
    Structure,
    as_vector,
    cycled_knob,
    knobs,
    run_time_numbers,
)

# Rows per forward pass when a loss is measured; bounds the memory of wide layers.
EVALUATION_ROWS = 16_384
# Distance between the keys of an epoch's steps (odd, so that none repeats).
STEP_KEY = 0x85EBCA6B


def rewrite_graphs(wanted: bool) -> None:
    """Enable or disable TensorFlow's graph rewriting, which is on by default.

    On a CPU it takes a sixth of the time until the end of the first epoch, and makes epochs no
    faster (docs/engine.md).
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not wanted})


class Knob(keras.Variable):
    """An optimizer's number as a variable; Keras only compares it with zero."""

    def __ne__(self, other: object) -> bool:  # type: ignore[override]
        return True

    __hash__ = keras.Variable.__hash__


@dataclass(frozen=True)
class EpochResult:
    """Result of one call of the program.

    Attributes:
        train_loss: Mean penalty-free loss of the epoch's batches, while the weights changed.
        valid_loss: Penalty-free validation loss after the epoch.
        metric: Validation accuracy, or root mean squared error of the standardised target; of
            several quantities those of each, [T].
        answers: Outputs for the validation part, [M, K], if the structure asks for them.

    A network trained on the logarithm of the target has its training loss there. Its validation
    figures are those of the standardised target.
    """

    train_loss: float
    valid_loss: float
    metric: Any
    answers: np.ndarray | None = None


class Program:
    """A structure's model, optimizer and compiled epoch; reset before each trial.

    During training the weights are held in a few flat variables (see `Packing`); `set_weights`
    copies them to the model's own variables, which all other code reads.
    """

    def __init__(self, structure: Structure, stack: Stack) -> None:
        self.structure = structure
        self.context = Context()
        shape = (stack, structure.features, structure.outputs, self.context)
        self.model, self.hidden = training_model(*shape)
        # Measurements and exports use float32; mixed precision applies to training steps only.
        self._learner = self.model
        if structure.precision == "mixed":
            self._learner, _ = training_model(*shape, policy="mixed_bfloat16")
        self.knobs = {name: Knob(0.0, trainable=False, name=name) for name in knobs(stack)}
        self.packing = Packing(self.model.trainable_variables, whole=not structure.compiled)
        self.optimizer = training_optimizer(stack, self.knobs)
        self.optimizer.build(self.packing.flat)
        dense = [layer for layer in self.model.layers if isinstance(layer, keras.layers.Dense)]
        self.kernels: list[Any] = [layer.kernel for layer in dense]
        self._hidden_places = [
            self._place(self.model.trainable_variables, kernel) for kernel in self.kernels[:-1]
        ]
        self._penalized = stack["penalty"] != "none"
        self._bounded = stack["max_norm"] == "clip"
        self._clipping = stack["clipping"]
        self._inverse: Any = None
        if structure.transform == LOG:
            self._inverse = tf.Variable(tf.zeros((3, structure.outputs)))
        self._at_start = [_thrifty(v.numpy()) for v in self._state]
        self._epoch = tf.function(
            self._trace_epoch, jit_compile=structure.compiled, autograph=False
        )
        self._run = tf.function(self._trace_run, jit_compile=structure.compiled, autograph=False)
        self._sums = tf.function(self._trace_sums, jit_compile=structure.compiled, autograph=False)
        self._forward = tf.function(
            lambda x: self.model(x, training=False), reduce_retracing=True, autograph=False
        )
        self.used = False

    @staticmethod
    def _place(variables: list[Any], wanted: Any) -> int:
        return next(k for k, variable in enumerate(variables) if variable is wanted)

    @property
    def _state(self) -> list[Any]:
        return [*self.model.variables, *self.optimizer.variables]

    @property
    def hidden_kernels(self) -> list[Any]:
        """The kernels that penalties and max-norm apply to: all but the head's."""
        return self.kernels[:-1]

    def reset(self, stack: Stack, seed: int) -> None:
        """Give the model fresh weights and the optimizer fresh slots.

        Args:
            stack: The trial's stack (of this program's structure).
            seed: Seed of the weights, which do not depend on earlier trials.
        """
        for variable, value in zip(self._state, self._at_start, strict=True):
            variable.assign(np.broadcast_to(value, variable.shape))
        network = plan(stack, self.structure.features, self.structure.outputs)
        dense = [node for node in network.nodes if node.role in ("dense", "head")]
        rng = np.random.default_rng([seed, 0])
        for kernel, node in zip(self.kernels, dense, strict=True):
            kernel.assign(fresh_kernel(initializer_of(node), tuple(kernel.shape), rng))
        self.packing.pack(self.model.trainable_variables)
        for name, knob in self.knobs.items():
            knob.assign(stack[f"optimizer.{name}"])

    def use(self, data: DeviceData | StreamedData) -> None:
        """Measure losses as this split does; only the logarithm of a target depends on it."""
        if self._inverse is not None:
            self._inverse.assign(data.inverse)

    def epoch(
        self,
        stack: Stack,
        data: DeviceData | StreamedData,
        order: np.ndarray,
        rates: np.ndarray,
        momenta: np.ndarray | None,
        key: int,
    ) -> EpochResult:
        """Train one epoch and measure the validation loss.

        Args:
            stack: Stack that holds the run-time numbers.
            data: The split.
            order: int32 [steps, batch], rows of the training part.
            rates: float32 [steps], learning rates.
            momenta: float32 [steps] if the schedule changes the momentum, else None.
            key: Random key of the epoch's masks, below 2³².
        """
        if momenta is None:
            knob = cycled_knob(stack)
            fixed = stack[f"optimizer.{knob}"] if knob else 0.0
            momenta = np.full(len(rates), fixed, np.float32)
        self.use(data)
        numbers = tf.constant(as_vector(run_time_numbers(stack)), tf.float32)
        rates, momenta = (np.asarray(part, np.float32) for part in (rates, momenta))
        if isinstance(data, StreamedData):
            result, answers = self._streamed_epoch(data, order, rates, momenta, numbers, key)
        else:
            result, answers = self._epoch(
                *(data.x_train, data.y_train, data.x_valid, data.y_valid),
                *(tf.constant(order), tf.constant(rates), tf.constant(momenta), numbers),
                *(tf.constant(key, tf.uint32), data.w_train, data.w_valid),
            )
            result, answers = result.numpy(), None if answers is None else answers.numpy()
        self.used = True
        train_loss, valid_loss, *score = (float(v) for v in result)
        metric = np.array(score) if len(score) > 1 else score[0]
        if self.structure.task == "regression":
            metric **= 0.5
        return EpochResult(train_loss, valid_loss, metric, answers)

    def _streamed_epoch(
        self,
        data: StreamedData,
        order: np.ndarray,
        rates: np.ndarray,
        momenta: np.ndarray,
        numbers: tf.Tensor,
        key: int,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Run the same epoch over streamed data, one run of steps after the other."""
        trained = np.float32(0.0)
        for part, x, y, w in data.runs(order):
            rows = np.arange(order[part].size, dtype=np.int32).reshape(order[part].shape)
            shifted = (key + part.start * STEP_KEY) % 2**32
            trained += self._run(
                *(x, y, tf.constant(rows), tf.constant(rates[part]), tf.constant(momenta[part])),
                *(numbers, tf.constant(shifted, tf.uint32), w),
            ).numpy()
        parts = [self._sums(x, y, w) for x, y, w in data.validation()]
        sums = np.sum([part.numpy() for part, _ in parts], axis=0)
        count = data.rows[1] if data.w_valid is None else tf.reduce_sum(data.w_valid).numpy()
        answers = [found.numpy() for _, found in parts if found is not None]
        whole = np.concatenate(answers) if answers else None
        return np.array([trained / len(order), *(sums / count)]), whole

    def outputs(self, x: np.ndarray | tf.Tensor) -> np.ndarray:
        """Return the head's outputs (logits, or the standardised prediction), shape [N, K].

        It uses the model's own weights: call `settle` or `set_weights` first.
        """
        parts = [
            self._forward(tf.convert_to_tensor(x[k : k + EVALUATION_ROWS])).numpy()
            for k in range(0, len(x), EVALUATION_ROWS)
        ]
        return np.concatenate(parts)

    def loss(self, x: np.ndarray, y: np.ndarray, w: np.ndarray | None = None) -> float:
        """Return the mean penalty-free loss of inputs [N, D] with targets and weights [N].

        It is computed as in validation.
        """
        outputs = self._measurable(tf.constant(self.outputs(x)))
        found = losses(self.structure.trained_on, tf.constant(y), outputs)
        return float(np.average(found.numpy(), weights=w))

    def weights(self) -> list[np.ndarray]:
        """Return copies of the current weights, in the order of the model's variables."""
        trained = iter(self.packing.unpack())
        return [
            next(trained) if variable.trainable else np.array(variable.numpy())
            for variable in self.model.variables
        ]

    def settle(self) -> None:
        """Copy the current weights to the model's own variables."""
        self.set_weights(self.weights())

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Set weights that `weights` returned."""
        for variable, value in zip(self.model.variables, weights, strict=True):
            variable.assign(value)
        self.packing.pack(self.model.trainable_variables)

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
        w_train: tf.Tensor | None,
        w_valid: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Trace the loop over the epoch's steps and the validation pass after it."""
        steps = tf.cast(tf.shape(order)[0], tf.float32)
        trained = self._trace_run(x_train, y_train, order, rates, momenta, numbers, key, w_train)
        count = cast(int, x_valid.shape[0]) if w_valid is None else tf.reduce_sum(w_valid)
        sums, answers = self._trace_sums(x_valid, y_valid, w_valid)
        return tf.concat([[trained / steps], sums / count], 0), answers

    def _trace_run(
        self,
        x_train: tf.Tensor,
        y_train: tf.Tensor,
        order: tf.Tensor,
        rates: tf.Tensor,
        momenta: tf.Tensor,
        numbers: tf.Tensor,
        key: tf.Tensor,
        w_train: tf.Tensor | None,
    ) -> tf.Tensor:
        """Trace the loop over a run of steps; return the sum of their losses."""
        rate, l1, l2, radius, limit = tf.unstack(numbers)
        self.context.rate = rate
        knob = self.knobs.get("momentum")

        def step(k: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            rows = tf.gather(order, k)
            self.context.key = key + tf.cast(k, tf.uint32) * tf.constant(STEP_KEY, tf.uint32)
            self.optimizer._learning_rate.assign(rates[k])
            if knob is not None:
                knob.assign(momenta[k])
            mass = None if w_train is None else tf.gather(w_train, rows)
            loss = self._step(
                tf.gather(x_train, rows), tf.gather(y_train, rows), mass, l1, l2, radius, limit
            )
            return k + 1, total + loss

        steps = tf.shape(order)[0]
        start = (tf.constant(0), tf.constant(0.0))
        return tf.while_loop(lambda k, total: k < steps, step, start)[1]

    def _step(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        mass: tf.Tensor | None,
        l1: tf.Tensor,
        l2: tf.Tensor,
        radius: tf.Tensor,
        limit: tf.Tensor,
    ) -> tf.Tensor:
        """Trace one update; return the batch's penalty-free loss."""
        flat = [tf.convert_to_tensor(variable.value) for variable in self.packing.flat]
        with tf.GradientTape() as tape:
            tape.watch(flat)
            weights = self.packing.split(flat)
            outputs, moved = self._call(weights, x, training=True)
            # As Keras: the sum of weight · loss, divided by the number of rows.
            row_losses = _times(mass, losses(self.structure.trained_on, y, outputs))
            loss = total = tf.reduce_mean(row_losses)
            if self._penalized:
                for place in self._hidden_places:
                    w = weights[place]
                    total += l1 * tf.reduce_sum(tf.abs(w)) + l2 * tf.reduce_sum(tf.square(w))
        gradients: list[Any] = tape.gradient(total, flat)
        if self._clipping == "value":
            gradients = [tf.clip_by_value(g, -limit, limit) for g in gradients]
        elif self._clipping == "norm":
            norm = global_norm(gradients) if self.structure.compiled else None
            gradients, _ = tf.clip_by_global_norm(gradients, limit, use_norm=norm)
        self.optimizer.apply(gradients, self.packing.flat)
        for variable, value in zip(self.model.non_trainable_variables, moved, strict=True):
            variable.assign(value)
        if self._bounded:
            self._bound(radius)
        return loss

    def _bound(self, radius: tf.Tensor) -> None:
        """Clip each hidden neuron's incoming weight vector to the radius."""
        weights = self.packing.split([variable.value for variable in self.packing.flat])
        for place in self._hidden_places:
            norms = tf.sqrt(tf.reduce_sum(tf.square(weights[place]), 0, keepdims=True))
            weights[place] *= tf.clip_by_value(norms, 0.0, radius) / (norms + 1e-7)
        for variable, value in zip(self.packing.flat, self.packing.join(weights), strict=True):
            variable.assign(value)

    def _call(self, weights: list[Any], x: tf.Tensor, training: bool) -> tuple[Any, list[Any]]:
        """Run the network with these weights; also return batch normalization's new averages."""
        fixed = [variable.value for variable in self.model.non_trainable_variables]
        model = self._learner if training else self.model
        found: Any = model.stateless_call(weights, fixed, x, training=training)
        return found

    def _measurable(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the outputs on the scale of the validation targets."""
        return outputs if self._inverse is None else inverted(outputs, self._inverse)

    def _trace_sums(
        self, x: tf.Tensor, y: tf.Tensor, w: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Sum loss and score over validation rows, in slices that bound the memory.

        The outputs are returned as well if the structure asks for them.
        """
        kind, rows = self.structure.trained_on, x.shape[0]
        answers = []
        weights = self.packing.split([variable.value for variable in self.packing.flat])
        loss = score = tf.constant(0.0)
        for start in range(0, cast(int, rows), EVALUATION_ROWS):
            part = slice(start, start + EVALUATION_ROWS)
            outputs, _ = self._call(weights, x[part], training=False)
            answers.append(outputs)
            measured = self._measurable(outputs)
            mass = None if w is None else w[part]
            loss += tf.reduce_sum(_times(mass, losses(kind, y[part], measured)))
            score += tf.reduce_sum(_times(mass, scores(kind, y[part], measured)), axis=0)
        sums = tf.concat([[loss], tf.reshape(score, [-1])], 0)
        return sums, tf.concat(answers, 0) if self.structure.answers else None


def _times(weights: tf.Tensor | None, values: tf.Tensor) -> tf.Tensor:
    """Return weights [B] · values, [B] or [B, T]; the values alone if there are no weights."""
    if weights is None:
        return values
    return (weights[:, None] if values.shape.rank == 2 else weights) * values


def _thrifty(value: np.ndarray) -> np.ndarray:
    """Return a single number if all are equal (mostly zeros and ones), else the array."""
    flat = value.reshape(-1)
    return flat[0] if flat.size and (flat == flat[0]).all() else value
