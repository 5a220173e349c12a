"""Figures of predictions on a part of a split: the loss that was trained on, and all metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trainstack.search.data.splitting import Split
from trainstack.search.metrics.losses import FOCUS
from trainstack.search.metrics.numbers import LEAST_RATE
from trainstack.search.metrics.table import CLASSIFICATION, REGRESSION, USUAL_LOSS, Metric, figures
from trainstack.search.spec import StudySpec


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores answers on a split's parts, weighted as the split's rows.

    *Answers* are log probabilities [N, K], or predictions of the standardised target [N]; of
    several targets a list of each target's. Figures of several targets are means over them.

    Attributes:
        split: The split, not prepared.
        classes: Number of classes of each target; 0 in regression.
        loss: Name of the loss; empty: the task's usual one.
        own: A metric of the user's own, or None.
        label: Whether the target is one of several labels.
    """

    split: Split
    classes: int
    loss: str = ""
    own: Metric | None = None
    label: bool = False

    @classmethod
    def of(cls, spec: StudySpec, split: Split) -> Scorer:
        """Return the scorer of a study."""
        own = spec.asked if spec.own_metric is not None else None
        return cls(split, spec.data.class_count, spec.trained_on.name, own)

    def each(self) -> list[Scorer]:
        """Return a scorer for each of several targets; itself alone if there is one."""
        if self.split.y_train.ndim == 1:
            return [self]
        parts = self.split.each_target()
        return [replace(self, split=part, own=None, label=self.classes > 0) for part in parts]

    @property
    def _task(self) -> str:
        return CLASSIFICATION if self.classes else REGRESSION

    def answers(self, outputs: np.ndarray) -> Any:
        """Return a network's answers from its outputs [N, K]; of several targets [N, T]."""
        if self._several:
            columns = self.split.each_output(outputs)
            return [one.answers(column) for one, column in zip(self.each(), columns, strict=True)]
        if self.classes:
            return log_softmax(outputs)
        return self.split.measurable(outputs.astype(np.float64))[:, 0]

    def of_predictions(self, predictions: np.ndarray) -> Any:
        """Return the answers of a finished model.

        Args:
            predictions: Probabilities [N, K], or numbers in the unit. Of several targets the
                probability of each label's second value, or the numbers, [N, T].
        """
        predictions = predictions.astype(np.float64)
        if self._several:
            columns = (np.stack([1 - p, p], 1) if self.classes else p for p in predictions.T)
            return [one.of_predictions(p) for one, p in zip(self.each(), columns, strict=True)]
        if self.classes:
            return np.log(np.maximum(predictions, 1e-300))
        return (predictions.reshape(-1) - self.split.y_mean) / self.split.y_scale

    @property
    def _several(self) -> bool:
        return self.split.y_train.ndim > 1

    def losses(self, answers: Any, part: str) -> np.ndarray:
        """Return each row's loss, without its weight, [N].

        Args:
            answers: The answers for a part.
            part: `train`, `valid` or `test`.
        """
        if self._several:
            found = zip(self.each(), answers, strict=True)
            return np.mean([one.losses(column, part) for one, column in found], axis=0)
        y = self.split.target(getattr(self.split, f"y_{part}"))
        name = self.loss or USUAL_LOSS[self._task]
        if self.classes:
            entropy = -answers[np.arange(len(y)), y]
            missed = -np.expm1(-entropy)  # 1 - probability of the true class
            return entropy if name == "cross_entropy" else missed**FOCUS * entropy
        y = y.astype(np.float64)
        if name == "poisson":
            rate = np.maximum(answers, LEAST_RATE)
            return rate - y + y * np.log(np.where(y > 0, y, rate) / rate)
        error = np.abs(answers - y)
        if name == "absolute":
            return error
        return np.where(error <= 1, 0.5 * error**2, error - 0.5) if name == "huber" else error**2

    def figures_of_each(self, answers: Any, part: str) -> list[dict[str, float]]:
        """Return `figures` of each target, which may be a single one."""
        columns = answers if self._several else [answers]
        return [one.figures(each, part) for one, each in zip(self.each(), columns, strict=True)]

    def figures(self, answers: Any, part: str) -> dict[str, float]:
        """Return `loss`, every metric of the task that has a value here, and the user's own.

        Args:
            answers: The answers for a part.
            part: `train`, `valid` or `test`.
        """
        y, w = getattr(self.split, f"y_{part}"), self.split.weights(part)
        p = self._predictions(answers)
        if self._several:
            found = means(self.figures_of_each(answers, part))
        else:
            found = {"loss": float(np.average(self.losses(answers, part), weights=w))}
            found |= figures(self._task, y, p, w, self.label)
            if self.classes:  # without the bound on probabilities
                rows = -answers[np.arange(len(y)), y]
                found["log_loss"] = float(np.average(rows, weights=w))
        return found if self.own is None else {**found, self.own.name: self.own.function(y, p, w)}

    def _predictions(self, answers: Any) -> np.ndarray:
        """Return predictions as metrics take them; see `Split.predictions`."""
        if self._several:
            found = [one._predictions(each) for one, each in zip(self.each(), answers, strict=True)]
            return np.stack([p[:, 1] if self.classes else p for p in found], axis=1)
        return np.exp(answers) if self.classes else answers * self.split.y_scale + self.split.y_mean


def means(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean over targets, which may be a single one, of each figure that all have."""
    names = [name for name in figures[0] if all(name in each for each in figures)]
    return {name: float(np.mean([each[name] for each in figures])) for name in names}


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log probabilities of logits [N, K], in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
