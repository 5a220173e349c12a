"""Several networks of one structure, trained in one program.

Weights, optimizer slots, numbers, rates and keys have a leading axis of networks. One network's
functions (`Network`) are mapped over it, so their products become batched products; the optimizer
works element by element on all of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import networks_optimizer
from trainstack.workers.engine.bundle_data import BundleData
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.epoch import PACES, EpochPlan, EpochResult, epoch_result
from trainstack.workers.engine.independent import mapped
from trainstack.workers.engine.place import Place
from trainstack.workers.engine.program import Program, step_key
from trainstack.workers.engine.structure import as_vector, run_time_numbers, usual_momentum
from trainstack.workers.engine.variables import Knob, assign, put, values
from trainstack.workers.engine.weight_updates import averaged, by_name, scheduled


class Bundle:
    """Programs of several networks of one structure.

    Args:
        program: The structure's program. It gives each network its initial state.
        stack: A stack of this structure.
        networks: Number of networks.
        compiled: True for XLA; None: as the program.
    """

    def __init__(
        self, program: Program, stack: Stack, networks: int, compiled: bool | None = None
    ) -> None:
        self.program, self.networks = program, networks
        self.hidden: list[Any] = program.hidden
        self.knobs = {
            name: Knob(np.zeros((networks, 1), np.float32), trainable=False, name=name)
            for name in program.knobs
        }
        packing, fixed = program.packing, program.model.non_trainable_variables
        self._flat, self._fixed = self._many(packing.flat), self._many(fixed)
        self._averages = self._many(program.averages)
        self.optimizer, self._slots = networks_optimizer(stack, self.knobs, self._flat)
        compiled = program.structure.compiled if compiled is None else compiled
        self._epoch = tf.function(self._trace_epoch, jit_compile=compiled, autograph=False)
        self.places = [Place(self, k) for k in range(networks)]
        # Time of the first epoch, most of which is tracing and compiling; 0 before it.
        self.first_seconds = 0.0

    def _many(self, variables: list[Any]) -> list[keras.Variable]:
        """Return variables with a leading axis of networks, and the others' types."""
        return [
            keras.Variable(np.zeros((self.networks, *v.shape)), dtype=v.dtype, trainable=False)
            for v in variables
        ]

    @property
    def _state(self) -> list[keras.Variable]:
        return [*self._own, *self._slots, *self._averages]

    @property
    def _own(self) -> list[keras.Variable]:
        return [*self._flat, *self._fixed]

    def load(self, index: int) -> None:
        """Copy the program's network, with its slots, to a place."""
        of = self.program
        theirs = [*of.packing.flat, *of.model.non_trainable_variables, *of.slot_variables]
        for ours, variable in zip(self._state, theirs, strict=True):
            value = np.reshape(variable.numpy(), ours.shape[1:])
            put(ours, index, value)

    def weights(self, index: int) -> list[np.ndarray]:
        """Return copies of a network's weights, in the order of the model's variables."""
        return self._ordered(self._own, index)

    def measured(self, index: int) -> list[np.ndarray]:
        """Return copies of a network's weights that are measured, as `Program.measured`."""
        return self._ordered(self._averages or self._own, index)

    def _ordered(self, variables: list[keras.Variable], index: int) -> list[np.ndarray]:
        return self.program.ordered([np.array(v.value[index].numpy()) for v in variables])

    def set_weights(self, index: int, weights: list[np.ndarray]) -> None:
        """Set a network's weights, as `weights` returned them."""
        own = list(zip(self.program.model.variables, weights, strict=True))
        flat = self.program.packing.joined([value for v, value in own if v.trainable])
        fixed = [value for v, value in own if not v.trainable]
        for variables in filter(None, (self._own, self._averages)):
            for variable, value in zip(variables, [*flat, *fixed], strict=True):
                put(variable, index, value)

    def slots(self, index: int) -> list[np.ndarray]:
        """Return copies of a network's slots, as `Program.slots`."""
        shapes = [variable.shape for variable in self.program.slot_variables]
        return [
            np.reshape(variable.value[index].numpy(), shape)
            for variable, shape in zip([*self._slots, *self._averages], shapes, strict=True)
        ]

    def set_slots(self, index: int, slots: list[np.ndarray]) -> None:
        """Set a network's slots, as `slots` returned them."""
        for variable, value in zip([*self._slots, *self._averages], slots, strict=True):
            put(variable, index, np.reshape(value, variable.shape[1:]))

    def take(self, other: Bundle, indices: Sequence[int]) -> None:
        """Copy networks of another bundle to the first places, in this order."""
        for ours, theirs in zip(self._state, other._state, strict=True):
            ours.assign(tf.gather(theirs.value, list(indices)))

    @staticmethod
    def joined(splits: Sequence[DeviceData]) -> BundleData:
        """Return the networks' splits as `epoch` takes them."""
        return BundleData.of(splits)

    def epoch(
        self, stacks: Sequence[Stack], data: BundleData, plans: Sequence[EpochPlan | None]
    ) -> list[EpochResult]:
        """Train an epoch of every network and measure its validation loss.

        Args:
            stacks: The networks' stacks, which hold their run-time numbers.
            data: Their data.
            plans: Their plans; None: a network whose training has ended. Neither its state nor
                its result means anything afterwards.

        Returns:
            The results, each with its share of the time.
        """
        began, fresh = time.perf_counter(), not self.first_seconds
        going = [plan for plan in plans if plan is not None]
        batch = going[0].order.shape[1]
        # Also of networks that have ended: the epoch would be traced anew for another length.
        lengths = {rows // batch for rows, _ in data.rows}
        order = np.zeros((self.networks, max(lengths), batch), np.int32)
        paces = np.zeros((self.networks, max(lengths), len(PACES)), np.float32)
        counts, keys = np.zeros(self.networks, np.int32), np.zeros(self.networks, np.uint32)
        for k, (stack, plan) in enumerate(zip(stacks, plans, strict=True)):
            if plan is None:
                continue
            count = counts[k] = len(plan.rates)
            order[k, :count], keys[k] = plan.order, plan.key
            paces[k, :count] = plan.paces(usual_momentum(stack))
            paces[k, count:] = paces[k, count - 1]
        numbers = np.array([as_vector(run_time_numbers(stack)) for stack in stacks], np.float32)
        parts = data.parts
        found, answers = self._epoch(
            *(parts.x_train, parts.y_train, parts.x_valid, parts.y_valid),
            *(tf.constant(array) for array in (order, counts, paces, numbers, keys)),
            *(parts.w_train, parts.w_valid, parts.inverse),
            shared=data.shared,
            uneven=len(lengths) > 1,
        )
        found, answers = found.numpy(), [part.numpy() for part in answers]
        seconds = time.perf_counter() - began
        self.first_seconds = self.first_seconds or seconds
        task = self.program.structure.task
        return [
            replace(
                epoch_result(task, found[k], answers[0][k, :valid] if answers else None),
                seconds=seconds / len(going),
                fresh=fresh,
            )
            for k, (_, valid) in enumerate(data.rows)
        ]

    def _trace_epoch(
        self,
        x_train: tf.Tensor,
        y_train: tf.Tensor,
        x_valid: tf.Tensor,
        y_valid: tf.Tensor,
        order: tf.Tensor,
        counts: tf.Tensor,
        paces: tf.Tensor,
        numbers: tf.Tensor,
        keys: tf.Tensor,
        w_train: tf.Tensor | None,
        w_valid: tf.Tensor | None,
        inverse: tf.Tensor | None,
        shared: bool,
        uneven: bool,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Trace the loop over the epoch's steps and the validation pass after it.

        Returns:
            [networks, 2 + number of scores], and the outputs [networks, M, K] in a list, which is
            empty if the structure does not ask for them.
        """
        knob = self.knobs.get("momentum")
        axes = 0 if shared else 1

        def step(k: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            rows = order[:, k]
            batch = [
                tf.gather(part, rows, batch_dims=axes)
                for part in (x_train, y_train, w_train)
                if part is not None
            ]
            before = values(self._state)
            each = tf.unstack(paces[:, k, None], axis=-1)  # [networks, 1]
            pace = dict(zip(PACES, each, strict=True))
            self.optimizer._learning_rate.assign(pace["rate"])
            if knob is not None:
                knob.assign(pace["momentum"])
            loss = self._step(batch, numbers, step_key(keys, k), pace)
            if uneven:  # a network whose epoch has ended keeps its state
                going = k < counts
                for variable, old in zip(self._state, before, strict=True):
                    mask = tf.reshape(going, [-1] + [1] * (old.shape.rank - 1))
                    variable.assign(tf.where(mask, variable.value, old))
                loss = tf.where(going, loss, 0.0)
            return k + 1, total + loss

        steps = tf.reduce_max(counts) if uneven else tf.shape(order)[1]
        start = (tf.constant(0), tf.zeros([self.networks]))
        trained = tf.while_loop(lambda k, total: k < steps, step, start)[1]
        if self.program.averaging == "last":
            self._average(paces[:, -1, PACES.index("kept"), None])
        trained /= tf.cast(tf.maximum(counts, 1), tf.float32)
        sums, answers = self._sums(x_valid, y_valid, w_valid, inverse, shared)
        if w_valid is None:
            count = tf.fill([self.networks], float(cast(int, x_valid.shape[axes])))
        else:
            count = tf.broadcast_to(tf.reduce_sum(w_valid, -1), [self.networks])
        return tf.concat([trained[:, None], sums / count[:, None]], 1), answers

    def _step(
        self,
        batch: list[tf.Tensor],
        numbers: tf.Tensor,
        keys: tf.Tensor,
        pace: dict[str, tf.Tensor],
    ) -> tf.Tensor:
        """Trace one update of every network; return the losses, [networks]."""
        if self.program.updates.is_scheduled:
            numbers = scheduled(numbers, pace["strength"])
            if (decay := self.knobs.get("weight_decay")) is not None:
                decay.assign(by_name(numbers)["decay"][:, None])

        def gradients(of: Any) -> Any:
            flat, fixed, (x, y, *mass), numbers, key = of
            return self.program.gradients(
                flat, fixed, x, y, mass[0] if mass else None, numbers, key
            )

        flat, fixed = values(self._flat), values(self._fixed)
        found, moved, losses = mapped(gradients, (flat, fixed, batch, numbers, keys))
        if self.program.updates.is_decayed:
            rate, decay = self.optimizer._learning_rate.value, by_name(numbers)["decay"][:, None]
            assign(self._flat, self.program.updates.decayed(flat, rate, decay))
        self.optimizer.apply(found, self._flat)
        assign(self._fixed, moved)
        if self.program.updates.has_rates:
            now = flat, values(self._flat), numbers, pace["pretrained"][:, 0]
            assign(self._flat, mapped(lambda of: self.program.updates.at_own_rates(*of), now))
        if self.program.updates.is_bounded:
            now = values(self._flat), numbers
            assign(self._flat, mapped(lambda of: self.program.updates.bounded(*of), now))
        if self.program.averaging == "exponential":
            self._average(pace["kept"])
        return losses

    def _average(self, kept: tf.Tensor) -> None:
        """Trace the change of the averages after a step or an epoch; kept: [networks, 1]."""
        now = values(self._averages), values(self._own)
        assign(self._averages, averaged(*now, kept))

    def _sums(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        w: tf.Tensor | None,
        inverse: tf.Tensor | None,
        shared: bool,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Trace the validation pass of every network, as `Network.sums`."""
        data = {"x": x, "y": y, "w": w, "inverse": inverse}
        given = {name: part for name, part in data.items() if part is not None}
        fixed_part, own_part = (given, {}) if shared else ({}, given)

        def sums(of: Any) -> Any:
            flat, fixed, own = of
            each = {"w": None, "inverse": None, **fixed_part, **own}
            found, answers = self.program.sums(flat, fixed, **each)
            return found, [] if answers is None else [answers]

        found, packed = values(self._averages or self._own), len(self._flat)
        return mapped(sums, (found[:packed], found[packed:], own_part))
