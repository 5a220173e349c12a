"""One of several networks that are trained together."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.program import Program


class Networks(Protocol):
    """The weights and slots of several networks, by their places."""

    @property
    def program(self) -> Program: ...
    def weights(self, index: int) -> list[np.ndarray]: ...
    def measured(self, index: int) -> list[np.ndarray]: ...
    def set_weights(self, index: int, weights: list[np.ndarray]) -> None: ...
    def slots(self, index: int) -> list[np.ndarray]: ...
    def set_slots(self, index: int, slots: list[np.ndarray]) -> None: ...


class Place:
    """One network of several."""

    def __init__(self, networks: Networks, index: int) -> None:
        self.networks, self.index = networks, index

    def completed(self, stack: Stack) -> Stack:
        """Return a stack with what its network chooses where the stack says nothing."""
        return self.networks.program.completed(stack)

    def weights(self) -> list[np.ndarray]:
        """Return copies of the network's weights, in the order of the model's variables."""
        return self.networks.weights(self.index)

    def measured(self) -> list[np.ndarray]:
        """Return copies of the weights that are measured, as `Program.measured`."""
        return self.networks.measured(self.index)

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Set weights that `weights` returned."""
        self.networks.set_weights(self.index, weights)

    def slots(self) -> list[np.ndarray]:
        """Return copies of the network's optimizer slots, as `Program.slots`."""
        return self.networks.slots(self.index)

    def set_slots(self, slots: list[np.ndarray]) -> None:
        """Set slots that `slots` or `Program.slots` returned."""
        self.networks.set_slots(self.index, slots)
