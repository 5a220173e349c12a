"""The engine: an epoch as one program over data that stays on the device.

The inner loop is a function of (structure, weights, optimizer slots, numbers, data). The structure
is traced, and compiled if that pays off; everything else is passed in, so one program serves every
trial of its structure. Model, optimizer and gradient are ordinary Keras 3 and TensorFlow.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from trainstack.search.data.splitting import LOG
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import training_optimizer
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.epoch import PACES, EpochPlan, EpochResult, epoch_result
from trainstack.workers.engine.independent import member_seed
from trainstack.workers.engine.losses import inverted, losses
from trainstack.workers.engine.network import Network
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.structure import (
    Structure,
    as_vector,
    knobs,
    run_time_numbers,
    usual_momentum,
)
from trainstack.workers.engine.variables import Knob, assign, thrifty, values
from trainstack.workers.engine.weight_updates import averaged, by_name, scheduled

# Distance between the keys of an epoch's steps (odd, so that none repeats).
STEP_KEY = 0x85EBCA6B


def rewrite_graphs(wanted: bool) -> None:
    """Enable or disable TensorFlow's graph rewriting, which is on by default.

    On a CPU it takes a sixth of the time until the end of the first epoch, and makes epochs no
    faster (docs/engine.md).
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not wanted})


class Program(Network):
    """A structure's model, optimizer and compiled epoch; reset before each trial.

    During training the weights are held in a few flat variables (see `Packing`); `set_weights`
    copies them to the model's own variables, which all other code reads.
    """

    def __init__(self, structure: Structure, stack: Stack) -> None:
        super().__init__(structure, stack)
        self.knobs = {name: Knob(0.0, trainable=False, name=name) for name in knobs(stack)}
        self.optimizer = self._optimizer(stack)
        self.optimizer.build(self.packing.flat)
        averaged = [] if self.averaging == "none" else self._own
        self.averages = [keras.Variable(v.numpy(), trainable=False) for v in averaged]
        self._inverse: Any = None
        if structure.transform == LOG:
            self._inverse = tf.Variable(tf.zeros((3, structure.outputs)))
        self._at_start = [thrifty(v.numpy()) for v in self._state]
        self._epoch = tf.function(
            self._trace_epoch, jit_compile=structure.compiled, autograph=False
        )
        self._run = tf.function(self._trace_run, jit_compile=structure.compiled, autograph=False)
        self._sums: Any = tf.function(
            self._trace_sums, jit_compile=structure.compiled, autograph=False
        )
        self._forward: Any = tf.function(
            lambda x: self.combined(self.model(x, training=False)),
            reduce_retracing=True,
            autograph=False,
        )
        self.used = False

    def _optimizer(self, stack: Stack) -> keras.Optimizer:
        """Make the stack's optimizer."""
        return training_optimizer(stack, self.knobs)

    @property
    def _own(self) -> list[Any]:
        """The packed weights and the other variables of the model."""
        return [*self.packing.flat, *self.model.non_trainable_variables]

    @property
    def slot_variables(self) -> list[Any]:
        """The variables besides the model's: the optimizer's, then the averages of the weights."""
        return [*self.optimizer.variables, *self.averages]

    @property
    def _state(self) -> list[Any]:
        return [*self.model.variables, *self.optimizer.variables]

    def reset(
        self,
        stack: Stack,
        seed: int,
        data: DeviceData | StreamedData | None = None,
        initializer: str = "",
    ) -> None:
        """Give the model fresh weights and the optimizer fresh slots.

        Args:
            stack: The trial's stack (of this program's structure).
            seed: Seed of the weights, which do not depend on earlier trials.
            data: The trial's split, to whose training rows some stacks fit their weights or bins.
            initializer: Name of another initializer of the hidden layers than the stack's.

        Raises:
            ValueError: The stack fits its weights, and there is no data.
        """
        for variable, value in zip(self._state, self._at_start, strict=True):
            variable.assign(np.broadcast_to(value, variable.shape))
        for member in range(self.independent):
            self.model.renew()
            self.architecture.draw(stack, member_seed(seed, member), data, initializer)
            self.model.put(member)
        if not self.independent:
            self.architecture.draw(stack, seed, data, initializer)
        self._pack()
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
        strengths: np.ndarray | None = None,
        kept: np.ndarray | None = None,
        pretrained: float = 1.0,
    ) -> EpochResult:
        """Train one epoch and measure the validation loss.

        Args:
            stack: Stack that holds the run-time numbers.
            data: The split.
            order: int32 [steps, batch], rows of the training part.
            rates: float32 [steps], learning rates.
            momenta: float32 [steps] if the schedule changes the momentum, else None.
            key: Random key of the epoch's masks, below 2³².
            strengths: float32 [steps], factors on dropout and decay; None: 1.
            kept: float32 [steps], shares of the averaged weights that stay; None: 0.
            pretrained: Factor on the learning rate of pretrained layers.
        """
        began, fresh = time.perf_counter(), not self.used
        plan = EpochPlan(order, rates, momenta, key, strengths, kept, pretrained)
        paces = plan.paces(usual_momentum(stack))
        self.use(data)
        numbers = tf.constant(as_vector(run_time_numbers(stack)), tf.float32)
        if isinstance(data, StreamedData):
            result, answers = self._streamed_epoch(data, order, paces, numbers, key)
        else:
            result, answers = self._epoch(
                *(data.x_train, data.y_train, data.x_valid, data.y_valid),
                *(tf.constant(order), tf.constant(paces), numbers),
                *(tf.constant(key, tf.uint32), data.w_train, data.w_valid),
            )
            result = result.numpy()
            answers = None if answers is None else answers.numpy()[: data.rows[1]]
        self.used = True
        found = epoch_result(self.structure.task, result, answers)
        return replace(found, seconds=time.perf_counter() - began, fresh=fresh)

    def _streamed_epoch(
        self,
        data: StreamedData,
        order: np.ndarray,
        paces: np.ndarray,
        numbers: tf.Tensor,
        key: int,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Run the same epoch over streamed data, one run of steps after the other."""
        trained = np.float32(0.0)
        for part, x, y, w in data.runs(order):
            rows = np.arange(order[part].size, dtype=np.int32).reshape(order[part].shape)
            shifted = (key + part.start * STEP_KEY) % 2**32
            trained += self._run(
                *(x, y, tf.constant(rows), tf.constant(paces[part])),
                *(numbers, tf.constant(shifted, tf.uint32), w),
            ).numpy()
        return self._validated(data, trained / len(order))

    def _validated(
        self, data: DeviceData | StreamedData, train_loss: float
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the numbers of an epoch and the outputs, as `_trace_epoch`, slice by slice."""
        parts = [self._sums(x, y, w) for x, y, w in data.validation()]
        sums = np.sum([part.numpy() for part, _ in parts], axis=0)
        count = data.rows[1] if data.w_valid is None else tf.reduce_sum(data.w_valid).numpy()
        answers = [found.numpy() for _, found in parts if found is not None]
        whole = np.concatenate(answers)[: data.rows[1]] if answers else None
        return np.array([train_loss, *(sums / count)]), whole

    def outputs(self, x: np.ndarray | tf.Tensor) -> np.ndarray:
        """Return the head's outputs (logits, or the standardised prediction), shape [N, K].

        It uses the model's own weights: call `settle` or `set_weights` first.
        """
        parts = [
            self._forward(tf.convert_to_tensor(x[k : k + self.slice_rows])).numpy()
            for k in range(0, len(x), self.slice_rows)
        ]
        return np.concatenate(parts)

    def loss(self, x: np.ndarray, y: np.ndarray, w: np.ndarray | None = None) -> float:
        """Return the mean penalty-free loss of inputs [N, D] with targets and weights [N].

        It is computed as in validation.
        """
        outputs = tf.constant(self.outputs(x))
        if self._inverse is not None:
            outputs = inverted(outputs, self._inverse)
        found = losses(self.structure.trained_on, tf.constant(y), outputs)
        return float(np.average(found.numpy(), weights=w))

    def slots(self) -> list[np.ndarray]:
        """Return copies of `slot_variables`."""
        return [np.array(variable.numpy()) for variable in self.slot_variables]

    def set_slots(self, slots: list[np.ndarray]) -> None:
        """Set variables that `slots` returned."""
        assign(self.slot_variables, slots)

    def weights(self) -> list[np.ndarray]:
        """Return copies of the current weights, in the order of the model's variables."""
        return self.ordered([np.array(v.numpy()) for v in self._own])

    def measured(self) -> list[np.ndarray]:
        """Return copies of the weights that are measured and kept, in the same order.

        They are the current weights or their average, as the stack has it.
        """
        return self.ordered([np.array(v.numpy()) for v in self.averages or self._own])

    def ordered(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Return packed weights, followed by the other variables, in the model's order."""
        packed = len(self.packing.flat)
        trained, others = iter(self.packing.arrays(arrays[:packed])), iter(arrays[packed:])
        return [next(trained if v.trainable else others) for v in self.model.variables]

    def settle(self) -> None:
        """Copy the weights that are measured to the model's own variables."""
        self.set_weights(self.measured())

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Set weights that `weights` or `measured` returned; an average starts from them."""
        for variable, value in zip(self.model.variables, weights, strict=True):
            variable.assign(value)
        self._pack()

    def _pack(self) -> None:
        """Copy the model's own variables to the packed weights, from which averages start."""
        self.packing.pack(self.model.trainable_variables)
        if self.averages:
            assign(self.averages, values(self._own))

    def _trace_epoch(
        self,
        x_train: tf.Tensor,
        y_train: tf.Tensor,
        x_valid: tf.Tensor,
        y_valid: tf.Tensor,
        order: tf.Tensor,
        paces: tf.Tensor,
        numbers: tf.Tensor,
        key: tf.Tensor,
        w_train: tf.Tensor | None,
        w_valid: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Trace the loop over the epoch's steps and the validation pass after it."""
        steps = tf.cast(tf.shape(order)[0], tf.float32)
        trained = self._trace_run(x_train, y_train, order, paces, numbers, key, w_train)
        count = cast(int, x_valid.shape[0]) if w_valid is None else tf.reduce_sum(w_valid)
        sums, answers = self._trace_sums(x_valid, y_valid, w_valid)
        return tf.concat([[trained / steps], sums / count], 0), answers

    def _trace_run(
        self,
        x_train: tf.Tensor,
        y_train: tf.Tensor,
        order: tf.Tensor,
        paces: tf.Tensor,
        numbers: tf.Tensor,
        key: tf.Tensor,
        w_train: tf.Tensor | None,
    ) -> tf.Tensor:
        """Trace the loop over a run of steps; return the sum of their losses."""
        knob = self.knobs.get("momentum")

        def step(k: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            rows, pace = tf.gather(order, k), dict(zip(PACES, tf.unstack(paces[k]), strict=True))
            self.optimizer._learning_rate.assign(pace["rate"])
            if knob is not None:
                knob.assign(pace["momentum"])
            mass = None if w_train is None else tf.gather(w_train, rows)
            batch = tf.gather(x_train, rows), tf.gather(y_train, rows), mass
            loss = self._step(*batch, numbers, step_key(key, k), pace)
            return k + 1, total + loss

        steps = tf.shape(order)[0]
        start = (tf.constant(0), tf.constant(0.0))
        trained = tf.while_loop(lambda k, total: k < steps, step, start)[1]
        if self.averaging == "last":
            self._average(paces[-1, PACES.index("kept")])
        return trained

    def _average(self, kept: tf.Tensor) -> None:
        """Trace the change of the averages after a step or an epoch."""
        found = averaged(values(self.averages), values(self._own), kept)
        assign(self.averages, found)

    def _step(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        mass: tf.Tensor | None,
        numbers: tf.Tensor,
        key: tf.Tensor,
        pace: dict[str, tf.Tensor],
    ) -> tf.Tensor:
        """Trace one update; return the batch's penalty-free loss."""
        if self.updates.is_scheduled:
            numbers = scheduled(numbers, pace["strength"])
            if (decay := self.knobs.get("weight_decay")) is not None:
                decay.assign(by_name(numbers)["decay"])
        before, fixed = self._now()
        gradients, moved, loss = self.gradients(before, fixed, x, y, mass, numbers, key)
        if self.updates.is_decayed:
            rate, decay = self.optimizer._learning_rate.value, by_name(numbers)["decay"]
            assign(self.packing.flat, self.updates.decayed(before, rate, decay))
        self.optimizer.apply(gradients, self.packing.flat)
        if self.updates.has_rates:
            now = self._now()[0], numbers, pace["pretrained"]
            assign(self.packing.flat, self.updates.at_own_rates(before, *now))
        assign(self.model.non_trainable_variables, moved)
        if self.updates.is_bounded:
            assign(self.packing.flat, self.updates.bounded(self._now()[0], numbers))
        if self.averaging == "exponential":
            self._average(pace["kept"])
        return loss

    def _now(self) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Return the packed weights and the other variables of the model as tensors."""
        return values(self.packing.flat), values(self.model.non_trainable_variables)

    def _trace_sums(
        self, x: tf.Tensor, y: tf.Tensor, w: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Trace the validation pass, as `sums`, of the weights that are measured."""
        found, packed = values(self.averages or self._own), len(self.packing.flat)
        return self.sums(found[:packed], found[packed:], x, y, w, self._inverse)


def step_key(key: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Return the random key of a step of an epoch, from the epoch's."""
    return key + tf.cast(step, tf.uint32) * tf.constant(STEP_KEY, tf.uint32)
