"""The number that a study minimizes, from an epoch's result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trainstack.search.metrics.table import Metric
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError
from trainstack.workers.engine.epoch import EpochResult


@dataclass(frozen=True, eq=False)
class Objective:
    """The objective of a study on one split.

    Attributes:
        metric: The metric that decides.
        is_loss: Whether the validation loss is the objective.
        split: The split, not prepared.
    """

    metric: Metric
    is_loss: bool
    split: Any

    @classmethod
    def of(cls, spec: StudySpec, split: Any) -> Objective:
        """Return the objective of a study on a split."""
        return cls(spec.asked, spec.decided_by_loss, split)

    def __call__(self, result: EpochResult) -> float:
        """Return the objective of an epoch; not finite if the network's outputs are not.

        Raises:
            RequestError: The user's own metric raises or returns no finite number.
        """
        if self.is_loss:
            return result.valid_loss
        if result.answers is not None:
            return self.value(result.answers)
        return self.metric.objective(float(np.mean(result.metric * self.split.y_scale)))

    def value(self, outputs: np.ndarray) -> float:
        """Return the objective of a network's outputs [M, K] for the validation part."""
        if not np.isfinite(outputs).all():
            return float("nan")
        predictions = self.split.predictions(outputs)
        weights = self.split.weights("valid")
        try:
            value = self.metric.value(self.split.y_valid, predictions, weights)
        except RequestError as error:
            raise RequestError(
                error.problem,
                error.expected or "a finite number in every epoch",
                "correct the function and launch it with another --study: this study has the file",
            ) from None
        return self.metric.objective(value)


def reads_answers(spec: StudySpec) -> bool:
    """Return whether the objective needs the outputs for the validation part.

    The usual metrics are sums that the program computes anyway.
    """
    summed = spec.own_metric is None and spec.asked.name in ("accuracy", "rmse")
    return not (spec.decided_by_loss or summed)
