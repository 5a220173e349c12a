"""A network's weights and optimizer: fresh ones, copies of them, and what they predict."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainstack.search.data.splitting import LOG
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import training_optimizer
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.independent import member_seed
from trainstack.workers.engine.losses import inverted, losses
from trainstack.workers.engine.network import Network
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.structure import Structure, knobs
from trainstack.workers.engine.variables import Knob, assign, thrifty, values
from trainstack.workers.engine.weight_updates import averaged


class NetworkState(Network):
    """A network with its weights, their averages and its optimizer.

    During training the weights are held in a few flat variables (see `Packing`); `set_weights`
    copies them to the model's own variables, which all other code reads.

    Attributes:
        knobs: Numbers of the optimizer that are run-time values, by name.
        optimizer: The optimizer.
        averages: Averages of the weights; empty: none are kept.
        used: Whether an epoch was trained.
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
        self._sums: Any = tf.function(
            self._trace_sums, jit_compile=structure.compiled, autograph=False
        )
        # Tracing a dense network's forward pass takes ten times as long as the pass itself.
        self._forward: Any = self._predicted
        if structure.network is not None:
            self._forward = tf.function(self._predicted, reduce_retracing=True, autograph=False)
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

    def _validated(
        self, data: DeviceData | StreamedData, train_loss: float
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the numbers of an epoch and the outputs, as `Program` does, slice by slice."""
        parts = [self._sums(x, y, w) for x, y, w in data.validation()]
        sums = np.sum([part.numpy() for part, _ in parts], axis=0)
        count = data.rows[1] if data.w_valid is None else tf.reduce_sum(data.w_valid).numpy()
        answers = [found.numpy() for _, found in parts if found is not None]
        whole = np.concatenate(answers)[: data.rows[1]] if answers else None
        return np.array([train_loss, *(sums / count)]), whole

    def _predicted(self, x: tf.Tensor) -> tf.Tensor:
        return self.combined(self.model(x, training=False))

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

    def _average(self, kept: tf.Tensor) -> None:
        """Trace the change of the averages after a step or an epoch."""
        found = averaged(values(self.averages), values(self._own), kept)
        assign(self.averages, found)

    def _trace_sums(
        self, x: tf.Tensor, y: tf.Tensor, w: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Trace the validation pass, as `sums`, of the weights that are measured."""
        found, packed = values(self.averages or self._own), len(self.packing.flat)
        return self.sums(found[:packed], found[packed:], x, y, w, self._inverse)
