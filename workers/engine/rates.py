"""The numbers of an epoch's steps, and the state of performance scheduling."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trainstack.spaces.averagings import averaged_epochs
from trainstack.spaces.own_pretrained import own_rate
from trainstack.spaces.pretrainings import frozen_epochs
from trainstack.spaces.schedules import SCHEDULES, patience_epochs, regularizer_strength
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.epoch import EpochPlan


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

    def strengths(self, epoch: int) -> np.ndarray | None:
        """Return the factors on dropout and decay of an epoch if they change, else None."""
        if self.stack["regularizer_schedule"] == "constant":
            return None
        steps, total = self._steps(epoch)
        return np.array([regularizer_strength(step, total) for step in steps], np.float32)

    def kept(self, epoch: int) -> np.ndarray | None:
        """Return the shares of the average that stay after each step; None: nothing is averaged.

        The mean of several epochs' weights changes after the last step of an epoch only.
        """
        averaging = self.stack["averaging"]
        if averaging == "none":
            return None
        if averaging == "exponential":
            kept = np.full(self.steps_per_epoch, self.stack["averaging.decay"], np.float32)
            kept[0] *= epoch > 1
            return kept
        last = averaged_epochs(self.stack["averaging.share"], self.epochs)
        kept = np.ones(self.steps_per_epoch, np.float32)
        kept[-1] = 1.0 - 1.0 / max(1, epoch - (self.epochs - last))
        return kept

    def pretrained(self, epoch: int) -> float:
        """Return the factor on the learning rate of pretrained layers in an epoch."""
        if self.stack["pretraining"] == "none":
            return own_rate(self.stack, epoch)
        frozen = epoch <= frozen_epochs(self.stack["pretraining.frozen"], self.epochs)
        return 0.0 if frozen else self.stack["pretraining.rate_factor"]

    def plan(self, epoch: int, order: np.ndarray, key: int) -> EpochPlan:
        """Return the plan of an epoch with this batch order and key."""
        rates, momenta = self.rates(epoch), self.momenta(epoch)
        changes = self.strengths(epoch), self.kept(epoch), self.pretrained(epoch)
        return EpochPlan(order, rates, momenta, key, *changes)

    def _steps(self, epoch: int) -> tuple[range, int]:
        """Return the steps of an epoch (from 1), counted from 0, and the plan's."""
        first = (epoch - 1) * self.steps_per_epoch
        return range(first, first + self.steps_per_epoch), self.epochs * self.steps_per_epoch

    def _over(self, epoch: int, what: str) -> list[float]:
        function = getattr(SCHEDULES[self.stack["schedule"]], what)
        numbers, (steps, total) = self.stack.numbers("schedule"), self._steps(epoch)
        return [function(step, total, numbers) for step in steps]

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
