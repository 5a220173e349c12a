"""Learning rates of an epoch, step by step, and the state of performance scheduling."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trainstack.spaces.schedules import SCHEDULES, patience_epochs
from trainstack.spaces.stack import Stack


@dataclass
class RateMaker:
    """Turns a stack's schedule into rates; holds the state of performance scheduling.

    Attributes:
        stack: Stack that holds the schedule.
        steps_per_epoch: Updates per epoch.
        epochs: Planned epochs, over which the schedule is stretched.
        scale: Factor that performance scheduling has applied to the rate so far.
        best: Lowest validation loss that performance scheduling has seen.
        waited: Epochs since the lowest validation loss.
        seen: Number of epochs whose validation loss it has seen.
        lowered_after: Epochs after which performance scheduling has lowered the rate.
    """

    stack: Stack
    steps_per_epoch: int
    epochs: int
    scale: float = 1.0
    best: float = float("inf")
    waited: int = 0
    seen: int = 0
    lowered_after: list[int] = field(default_factory=list)

    def rates(self, epoch: int) -> np.ndarray:
        """Return the learning rates of an epoch (from 1), float32 [steps_per_epoch]."""
        initial = self.stack["optimizer.learning_rate"] * self.scale
        return np.array([initial * f for f in self._over(epoch, "factor")], np.float32)

    def momenta(self, epoch: int) -> np.ndarray | None:
        """Return the momenta of an epoch if the schedule changes them, else None."""
        if SCHEDULES[self.stack["schedule"]].momentum is None:
            return None
        return np.array(self._over(epoch, "momentum"), np.float32)

    def _over(self, epoch: int, what: str) -> list[float]:
        function = getattr(SCHEDULES[self.stack["schedule"]], what)
        numbers, total = self.stack.numbers("schedule"), self.epochs * self.steps_per_epoch
        first = (epoch - 1) * self.steps_per_epoch
        return [function(first + k, total, numbers) for k in range(self.steps_per_epoch)]

    def saw(self, valid_loss: float) -> None:
        """Record a validation loss; performance scheduling lowers the rate when it stalls."""
        if not SCHEDULES[self.stack["schedule"]].reacts:
            return
        self.seen += 1
        if valid_loss < self.best:
            self.best, self.waited = valid_loss, 0
            return
        self.waited += 1
        if self.waited >= patience_epochs(self.stack["schedule.patience"], self.epochs):
            self.lower()
            self.lowered_after.append(self.seen)
            self.waited = 0

    def lower(self) -> None:
        """Lower the rate as performance scheduling does."""
        self.scale *= self.stack["schedule.factor"]
