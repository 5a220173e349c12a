"""Training by Keras's `fit`, of a user's network that the engine cannot take.

The model's own `fit` runs every epoch, with the batches, rates and masks that the engine would
take, and with the loss, optimizer and penalties of the stack. So a network that the engine can take
has the same weights here. What the stack does to the weights besides follows each step.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.epoch import PACES, EpochPlan, EpochResult, epoch_result
from trainstack.workers.engine.layers import Context
from trainstack.workers.engine.losses import losses, smoothed_losses, times
from trainstack.workers.engine.own_network import BuiltNetwork
from trainstack.workers.engine.packing import Packing, Unpacked
from trainstack.workers.engine.program import STEP_KEY, Program
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.structure import (
    Structure,
    as_vector,
    run_time_numbers,
    usual_momentum,
)
from trainstack.workers.engine.unknown_to_engine import unknown_states
from trainstack.workers.engine.variables import Knob, assign, values
from trainstack.workers.engine.weight_updates import by_name, scheduled


class FitContext(Context):
    """Run-time values as variables, since `fit` traces its steps itself."""

    def __init__(self) -> None:
        super().__init__(by_keras=True)
        self.step_rate = tf.Variable(tf.constant(0.0), trainable=False)
        self.step_key = tf.Variable(tf.constant(0, tf.uint32), trainable=False)

    def words(self, place: int, rows: int | tf.Tensor) -> tf.Tensor:
        """Return a layer's words as `Context` does, drawn anew: the key is always one object."""
        self._drawn = None, {}
        return super().words(place, rows)

    def take(self, rate: Any = None, key: Any = None) -> None:
        """Let layers read these values, or else the variables."""
        self.rate = self.step_rate if rate is None else rate
        self.key = self.step_key if key is None else key


class StackLoss(keras.losses.Loss):
    """The stack's loss; it also sums the batches' loss without smoothing and penalties.

    Args:
        kind: Name of the loss.
        smoothing: Share of label smoothing.
    """

    def __init__(self, kind: str, smoothing: float) -> None:
        super().__init__(name="loss")
        self.kind, self.smoothing = kind, smoothing
        self.total = tf.Variable(tf.constant(0.0), trainable=False)
        self.batches = tf.Variable(tf.constant(0.0), trainable=False)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        """Return the mean of weight · loss over the rows of a batch."""
        plain = tf.reduce_mean(times(sample_weight, losses(self.kind, y_true, y_pred)))
        self.total.assign_add(plain)
        self.batches.assign_add(1.0)
        if not self.smoothing:
            return plain
        smoothed = smoothed_losses(self.kind, y_true, y_pred, self.smoothing)
        return tf.reduce_mean(times(sample_weight, smoothed))

    def restart(self) -> None:
        """Forget the batches so far."""
        self.total.assign(0.0)
        self.batches.assign(0.0)


class FitProgram(Program):
    """A user's network trained by `fit`, with the interface of the engine's program.

    Its structure has all items of the stack, since Keras takes penalties and clipping as constants.
    """

    context_kind = FitContext
    context: FitContext

    def __init__(self, structure: Structure, stack: Stack) -> None:
        super().__init__(structure, stack)
        assert structure.network is not None
        self._entry = self._built.entry
        smoothing = stack["label_smoothing"] if structure.classifies else 0.0
        self._loss = StackLoss(structure.trained_on, smoothing)
        eager = structure.network.eager
        self._built.fitted.compile(self.optimizer, self._loss, run_eagerly=eager, jit_compile=False)
        self._after = tf.function(self._trace_after, autograph=False)
        if eager:
            self._sums = self._trace_sums
            self._forward = lambda x: self.model(x, training=False)

    def _packed(self, variables: list[Any]) -> Packing:
        return Unpacked(variables)

    def _optimizer(self, stack: Stack) -> keras.Optimizer:
        """Make the stack's optimizer, which clips gradients and decays the kernels itself."""
        optimizer: Any = super()._optimizer(stack)
        self.decay = self.knobs.get("weight_decay")
        if stack["clipping"] == "value":
            optimizer.clipvalue = stack["clipping.limit"]
        elif stack["clipping"] == "norm":
            optimizer.global_clipnorm = stack["clipping.limit"]
        if self.updates.is_decayed:
            kernels = {id(kernel) for kernel in self.kernels}
            others = [v for v in self.packing.flat if id(v) not in kernels]
            optimizer.exclude_from_weight_decay(others)
            optimizer.weight_decay = self.decay = Knob(0.0, trainable=False)
        known = {id(variable) for variable in self.packing.flat}
        more = [v for v in self._built.fitted.trainable_variables if id(v) not in known]
        optimizer.build([*self.packing.flat, *more])
        return optimizer

    @property
    def _built(self) -> BuiltNetwork:
        return cast(BuiltNetwork, self.architecture)

    @property
    def _beside(self) -> list[Any]:
        """Variables that only the training of the user's own has: Keras's, then others."""
        fitted, known = self._built.fitted, {id(variable) for variable in self.member.variables}
        own = [variable for variable in fitted.variables if id(variable) not in known]
        return [*own, *unknown_states(fitted)]

    @property
    def slot_variables(self) -> list[Any]:
        """The variables besides the network's, those of the user's own training among them."""
        return [*super().slot_variables, *self._beside]

    @property
    def _state(self) -> list[Any]:
        return [*super()._state, *self._beside]

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
        """Train one epoch and measure the validation loss; see `Program.epoch`."""
        began, fresh = time.perf_counter(), not self.used
        plan = EpochPlan(order, rates, momenta, key, strengths, kept, pretrained)
        paces = plan.paces(usual_momentum(stack))
        self.use(data)
        self._loss.restart()
        self.context.take()
        numbers = tf.constant(as_vector(run_time_numbers(stack)), tf.float32)
        steps, logs = _Steps(self, paces, numbers, key), {}
        for part, *arrays in data.runs(order):
            batches = self._batches(arrays, order[part].shape, steps, part.start)
            logs = self._built.fitted.fit(
                batches, shuffle=False, verbose=0, callbacks=[steps]
            ).history
        if self.averaging == "last":
            self._average(tf.constant(paces[-1, PACES.index("kept")]))
        batches = self._loss.batches.numpy()
        # A training step of the user's own may have another loss.
        trained = self._loss.total.numpy() / batches if batches else logs["loss"][-1]
        result, answers = self._validated(data, float(trained))
        self.used = True
        found = epoch_result(self.structure.task, result, answers)
        return replace(found, seconds=time.perf_counter() - began, fresh=fresh)

    def _batches(
        self, arrays: list[Any], shape: tuple[int, ...], steps: _Steps, first: int
    ) -> tf.data.Dataset:
        """Return the batches of a run of steps, with inputs as the user's network takes them.

        Args:
            arrays: Inputs, targets and weights of the rows of all steps.
            shape: Numbers of steps and of rows per step.
            steps: The numbers of the steps.
            first: The run's first step in the epoch.
        """
        given = [tf.reshape(a, [*shape, *a.shape[1:]]) for a in arrays if a is not None]
        places = range(first, first + shape[0])
        now = [steps.rate(k) for k in places], [steps.key(k) for k in places]
        random = tf.constant(now[0], tf.float32), tf.constant(now[1], tf.uint32)

        def batch(rate: tf.Tensor, key: tf.Tensor, x: tf.Tensor, *others: tf.Tensor) -> Any:
            self.context.take(rate, key)
            try:
                return keras.tree.lists_to_tuples(self._entry(x, training=True)), *others
            finally:
                self.context.take()

        return tf.data.Dataset.from_tensor_slices((*random, *given)).map(batch)

    def _trace_after(
        self, before: list[tf.Tensor], numbers: tf.Tensor, pace: dict[str, tf.Tensor]
    ) -> None:
        """Trace what follows a step: rates of some weights' own, max-norm, averages."""
        updates, flat = self.updates, self.packing.flat
        if updates.has_rates:
            now = values(flat), numbers, pace["pretrained"]
            assign(flat, updates.at_own_rates(before, *now))
        if updates.is_bounded:
            assign(flat, updates.bounded(values(flat), numbers))
        if self.averaging == "exponential":
            self._average(pace["kept"])


class _Steps(keras.callbacks.Callback):
    """Sets the numbers of each step of an epoch, and changes the weights after it.

    Args:
        program: The program.
        paces: Numbers of each step, [steps, PACES].
        numbers: The run-time numbers.
        key: Random key of the epoch.
    """

    def __init__(
        self, program: FitProgram, paces: np.ndarray, numbers: tf.Tensor, key: int
    ) -> None:
        super().__init__()
        self.program, self._paces, self._numbers, self._key = program, paces, numbers, key
        self._step, self._before = 0, []

    def rate(self, step: int) -> float:
        """Return the dropout rate of a step."""
        return float(by_name(self._of(step))["rate"])

    def key(self, step: int) -> int:
        """Return the random key of a step."""
        return (self._key + step * STEP_KEY) % 2**32

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set rate, momentum, dropout and decay."""
        program = self.program
        pace = dict(zip(PACES, self._paces[self._step], strict=True))
        cast(Any, program.optimizer)._learning_rate.assign(pace["rate"])
        if (knob := program.knobs.get("momentum")) is not None:
            knob.assign(pace["momentum"])
        if program.decay is not None:
            program.decay.assign(by_name(self._of(self._step))["decay"])
        context = program.context
        context.step_rate.assign(self.rate(self._step))
        context.step_key.assign(self.key(self._step))
        if program.updates.has_rates:
            self._before = [tf.identity(value) for value in values(program.packing.flat)]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Change the weights as the stack says."""
        pace = dict(zip(PACES, map(tf.constant, self._paces[self._step]), strict=True))
        self.program._after(self._before, self._numbers, pace)
        self._step += 1

    def _of(self, step: int) -> tf.Tensor:
        """Return the run-time numbers in a step."""
        strength = self._paces[step, PACES.index("strength")]
        return scheduled(self._numbers, tf.constant(strength))
