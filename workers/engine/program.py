"""The engine: an epoch as one program over data that stays on the device.

The inner loop is a function of (structure, weights, optimizer slots, numbers, data). The structure
is traced, and compiled if that pays off; everything else is passed in, so one program serves every
trial of its structure. Model, optimizer and gradient are ordinary Keras 3 and TensorFlow.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np
import tensorflow as tf

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.epoch import PACES, EpochPlan, EpochResult, epoch_result
from trainstack.workers.engine.network_state import NetworkState
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.structure import (
    Structure,
    as_vector,
    run_time_numbers,
    usual_momentum,
)
from trainstack.workers.engine.variables import assign, values
from trainstack.workers.engine.weight_updates import by_name, scheduled

# Distance between the keys of an epoch's steps (odd, so that none repeats).
STEP_KEY = 0x85EBCA6B


def rewrite_graphs(wanted: bool) -> None:
    """Enable or disable TensorFlow's graph rewriting, which is on by default.

    On a CPU it takes a sixth of the time until the end of the first epoch, and makes epochs no
    faster (docs/engine.md).
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not wanted})


class Program(NetworkState):
    """A structure's model, optimizer and compiled epoch; reset before each trial."""

    def __init__(self, structure: Structure, stack: Stack) -> None:
        super().__init__(structure, stack)
        traced = {"jit_compile": structure.compiled, "autograph": False}
        self._epoch = tf.function(self._trace_epoch, **traced)
        self._run = tf.function(self._trace_run, **traced)

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
            steps = None
            if data.counts is not None:
                steps, (order, paces) = tf.constant(len(order)), self._lengthened(order, paces)
            result, answers = self._epoch(
                *(data.x_train, data.y_train, data.x_valid, data.y_valid),
                *(tf.constant(order), tf.constant(paces), numbers),
                *(tf.constant(key, tf.uint32), data.w_train, data.w_valid, steps),
            )
            result = result.numpy()
            answers = None if answers is None else answers.numpy()[: data.rows[1]]
        self.used = True
        found = epoch_result(self.structure.task, result, answers)
        return replace(found, seconds=time.perf_counter() - began, fresh=fresh)

    def _lengthened(self, *arrays: np.ndarray) -> Iterator[np.ndarray]:
        """Yield arrays of an epoch's steps with as many as those of the longest part.

        The steps beyond its own are never trained; without them the epoch is traced anew.
        """
        batch = arrays[0].shape[1]
        for array in arrays:
            missing = max(0, self.structure.rows[0] // batch - len(array))
            yield np.pad(array, ((0, missing), (0, 0)))

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
        steps: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Trace the loop over the epoch's steps and the validation pass after it."""
        trained = self._trace_run(x_train, y_train, order, paces, numbers, key, w_train, steps)
        steps = tf.cast(_steps(order) if steps is None else steps, tf.float32)
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
        steps: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Trace the loop over a run of steps; return the sum of their losses.

        With `steps` only that many of them are trained.
        """
        knob = self.knobs.get("momentum")

        def step(k: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # Taken by `gather`: an index in brackets is traced as several operations.
            rows, numbers_now = tf.gather(order, k), tf.unstack(tf.gather(paces, k))
            pace = dict(zip(PACES, numbers_now, strict=True))
            self.optimizer._learning_rate.assign(pace["rate"])
            if knob is not None:
                knob.assign(pace["momentum"])
            mass = None if w_train is None else tf.gather(w_train, rows)
            batch = tf.gather(x_train, rows), tf.gather(y_train, rows), mass
            loss = self._step(*batch, numbers, step_key(key, k), pace)
            return k + 1, total + loss

        steps = _steps(order) if steps is None else steps
        start = (tf.constant(0), tf.constant(0.0))
        trained = tf.while_loop(lambda k, total: k < steps, step, start)[1]
        if self.averaging == "last":
            self._average(paces[steps - 1, PACES.index("kept")])
        return trained

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


def step_key(key: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Return the random key of a step of an epoch, from the epoch's."""
    return key + tf.cast(step, tf.uint32) * tf.constant(STEP_KEY, tf.uint32)


def _steps(order: tf.Tensor) -> tf.Tensor:
    """Return the number of steps of a run, which is known while it is traced."""
    return tf.constant(cast(int, order.shape[0]))
