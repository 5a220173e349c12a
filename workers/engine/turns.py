"""Several networks of one structure, trained one after the other in each epoch by one program.

It is a `Bundle` for networks that are too large for batched products to pay, and for streamed data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.epoch import EpochPlan, EpochResult
from trainstack.workers.engine.place import Place
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.streaming import StreamedData


class Turns:
    """States of several networks, of which the program holds one at a time.

    Args:
        program: The structure's program.
        networks: Number of networks.
    """

    def __init__(self, program: Program, networks: int) -> None:
        self.program, self.networks = program, networks
        self.places = [Place(self, k) for k in range(networks)]
        self._states: list[list[tf.Tensor]] = [[] for _ in range(networks)]
        self._held: int | None = None

    def load(self, index: int) -> None:
        """Copy the program's network, with its slots, to a place."""
        self._states[index] = self._state()
        self._held = None

    def weights(self, index: int) -> list[np.ndarray]:
        """Return copies of a network's weights, in the order of the model's variables."""
        self._hold(index)
        return self.program.weights()

    def measured(self, index: int) -> list[np.ndarray]:
        """Return copies of a network's weights that are measured, as `Program.measured`."""
        self._hold(index)
        return self.program.measured()

    def set_weights(self, index: int, weights: list[np.ndarray]) -> None:
        """Set a network's weights, as `weights` returned them."""
        self._hold(index)
        self.program.set_weights(weights)

    def slots(self, index: int) -> list[np.ndarray]:
        """Return copies of a network's slots, as `Program.slots`."""
        self._hold(index)
        return self.program.slots()

    def set_slots(self, index: int, slots: list[np.ndarray]) -> None:
        """Set a network's slots, as `slots` returned them."""
        self._hold(index)
        self.program.set_slots(slots)

    @staticmethod
    def joined(splits: Sequence[DeviceData | StreamedData]) -> Sequence[DeviceData | StreamedData]:
        """Return the networks' splits as `epoch` takes them."""
        return splits

    def epoch(
        self,
        stacks: Sequence[Stack],
        data: Sequence[DeviceData | StreamedData],
        plans: Sequence[EpochPlan | None],
    ) -> list[EpochResult | None]:
        """Train an epoch of every network that has a plan; return their results, None for others.

        Args:
            stacks: The networks' stacks.
            data: Their splits.
            plans: Their plans; None: a network whose training has ended.
        """
        found: list[EpochResult | None] = []
        for k, (stack, split, plan) in enumerate(zip(stacks, data, plans, strict=True)):
            if plan is None:
                found.append(None)
                continue
            self._hold(k)
            found.append(self.program.epoch(stack, split, *plan.arguments))
        return found

    def _hold(self, index: int) -> None:
        """Exchange the network in the program."""
        if self._held == index:
            return
        if self._held is not None:
            self._states[self._held] = self._state()
        for variable, value in zip(self._variables, self._states[index], strict=True):
            variable.assign(value)
        self._held = index

    def _state(self) -> list[tf.Tensor]:
        return [tf.identity(variable.value) for variable in self._variables]

    @property
    def _variables(self) -> list[Any]:
        of = self.program
        return [*of.packing.flat, *of.model.non_trainable_variables, *of.slot_variables]
