"""Figures of predictions on a part of a split: the loss that was trained on, and all metrics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainstack.search.data.splitting import Split
from trainstack.search.metrics.losses import FOCUS
from trainstack.search.metrics.numbers import LEAST_RATE
from trainstack.search.metrics.table import CLASSIFICATION, REGRESSION, USUAL_LOSS, Metric, figures
from trainstack.search.spec import StudySpec


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores answers on a split's parts, weighted as the split's rows.

    *Answers* are log probabilities [N, K], or predictions of the standardised target [N].

    Attributes:
        split: The split, not standardised.
        classes: Number of classes; 0 in regression.
        loss: Name of the loss; empty: the task's usual one.
        own: A metric of the user's own, or None.
    """

    split: Split
    classes: int
    loss: str = ""
    own: Metric | None = None

    @classmethod
    def of(cls, spec: StudySpec, split: Split) -> Scorer:
        """Return the scorer of a study."""
        own = spec.asked if spec.own_metric is not None else None
        return cls(split, len(spec.data.classes), spec.trained_on.name, own)

    @property
    def _task(self) -> str:
        return CLASSIFICATION if self.classes else REGRESSION

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Return a network's answers from its outputs [N, K]."""
        if self.classes:
            return log_softmax(outputs)
        answers = outputs[:, 0].astype(np.float64)
        return np.exp(answers) if self.split.logarithmic else answers

    def of_predictions(self, predictions: np.ndarray) -> np.ndarray:
        """Return the answers of a finished model: probabilities [N, K], or numbers in the unit."""
        predictions = predictions.astype(np.float64)
        if self.classes:
            return np.log(np.maximum(predictions, 1e-300))
        return (predictions.reshape(-1) - self.split.y_mean) / self.split.y_scale

    def losses(self, answers: np.ndarray, part: str) -> np.ndarray:
        """Return each row's loss, without its weight, [N].

        Args:
            answers: The answers for a part.
            part: `train`, `valid` or `test`.
        """
        y = self.split.target(getattr(self.split, f"y_{part}"))
        name = self.loss or USUAL_LOSS[self._task]
        if self.classes:
            entropy = -answers[np.arange(len(y)), y]
            return entropy if name == "cross_entropy" else -(np.expm1(-entropy) ** FOCUS) * entropy
        y = y.astype(np.float64)
        if name == "poisson":
            rate = np.maximum(answers, LEAST_RATE)
            return rate - y + y * np.log(np.where(y > 0, y, rate) / rate)
        error = np.abs(answers - y)
        if name == "absolute":
            return error
        return np.where(error <= 1, 0.5 * error**2, error - 0.5) if name == "huber" else error**2

    def figures(self, answers: np.ndarray, part: str) -> dict[str, float]:
        """Return `loss`, every metric of the task that has a value here, and the user's own.

        Args:
            answers: The answers for a part.
            part: `train`, `valid` or `test`.
        """
        split = self.split
        y, w = getattr(split, f"y_{part}"), split.weights(part)
        p = np.exp(answers) if self.classes else answers * split.y_scale + split.y_mean
        found = {"loss": float(np.average(self.losses(answers, part), weights=w))}
        found |= figures(self._task, y, p, w)
        if self.classes:  # without the bound on probabilities
            rows = -answers[np.arange(len(y)), y]
            found["log_loss"] = float(np.average(rows, weights=w))
        return found if self.own is None else {**found, self.own.name: self.own.function(y, p, w)}


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log probabilities of logits [N, K], in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
