"""What an epoch takes and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# The numbers of a step, in their order.
PACES: tuple[str, ...] = ("rate", "momentum", "strength", "kept", "pretrained")


@dataclass(frozen=True)
class EpochPlan:
    """Input of an epoch besides stack and data.

    Attributes:
        order: int32 [steps, batch], rows of the training part.
        rates: float32 [steps], learning rates.
        momenta: float32 [steps] if the schedule changes the momentum, else None.
        key: Random key of the epoch's masks, below 2³².
        strengths: float32 [steps], factors on dropout and decay; None: 1.
        kept: float32 [steps], share of the averaged weights that stays in the average after the
            step, the rest of which are the new weights; None: 0.
        pretrained: Factor on the learning rate of pretrained layers; 0: they are frozen.
    """

    order: np.ndarray
    rates: np.ndarray
    momenta: np.ndarray | None
    key: int
    strengths: np.ndarray | None = None
    kept: np.ndarray | None = None
    pretrained: float = 1.0

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The plan as `Program.epoch` takes it, after stack and data."""
        steps = self.order, self.rates, self.momenta, self.key, self.strengths, self.kept
        return *steps, self.pretrained

    def paces(self, momentum: float) -> np.ndarray:
        """Return the numbers of each step, float32 [steps, PACES].

        Args:
            momentum: Momentum where the schedule does not change it.
        """
        columns = (
            self.rates,
            momentum if self.momenta is None else self.momenta,
            1.0 if self.strengths is None else self.strengths,
            0.0 if self.kept is None else self.kept,
            self.pretrained,
        )
        of_each = [np.broadcast_to(np.float32(c), (len(self.rates),)) for c in columns]
        return np.stack(of_each, axis=-1)


@dataclass(frozen=True)
class EpochResult:
    """Result of one call of the program.

    Attributes:
        train_loss: Mean penalty-free loss of the epoch's batches, while the weights changed.
        valid_loss: Penalty-free validation loss after the epoch.
        metric: Validation accuracy, or root mean squared error of the standardised target; of
            several quantities those of each, [T].
        answers: Outputs for the validation part, [M, K], if the structure asks for them.
        seconds: Time that the epoch took; of several networks trained at once each one's share.
        fresh: Whether this time includes tracing and compiling.

    A network trained on the logarithm of the target has its training loss there. Its validation
    figures are those of the standardised target.
    """

    train_loss: float
    valid_loss: float
    metric: Any
    answers: np.ndarray | None = None
    seconds: float = 0.0
    fresh: bool = False


def epoch_result(task: str, numbers: np.ndarray, answers: np.ndarray | None) -> EpochResult:
    """Return the result of an epoch.

    Args:
        task: The data's task.
        numbers: Training loss, validation loss and one or several scores, as a program returns
            them.
        answers: Outputs for the validation part, or None.
    """
    train_loss, valid_loss, *score = (float(v) for v in numbers)
    metric = np.array(score) if len(score) > 1 else score[0]
    if task == "regression":
        metric **= 0.5
    return EpochResult(train_loss, valid_loss, metric, answers)
