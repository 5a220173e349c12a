"""The trivial predictor, a baseline for every recommendation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainstack.search.data.splitting import Split
from trainstack.search.evidence.comparisons import estimate
from trainstack.workers.tasks.metrics import (
    log_softmax,
    means,
    probability_figures,
    regression_figures,
)

# Share that the trivial predictor assigns to a class without a training row.
LEAST_SHARE = 1e-12


class TrivialPredictor:
    """A predictor without features, fitted on a split's training part.

    It predicts the class shares, or the mean of the targets, for every row. Of several targets its
    figures and gaps are means over them.

    Args:
        split: The parts, not standardised.
        classes: Number of classes; 0 in regression.
    """

    def __init__(self, split: Split, classes: int) -> None:
        self.split = split
        self.each = [_OfOneTarget(part, classes) for part in split.each_target()]

    def figures(self, part: str) -> dict[str, float]:
        """Return `loss` and `accuracy` or `rmse`, on the same scale as a network's.

        Args:
            part: `valid` or `test`.
        """
        return means([predictor.figures(part) for predictor in self.each])

    def gaps(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return a network's loss minus this predictor's on each test row; accuracy likewise.

        Args:
            outputs: The network's outputs, [N, K]: logits, or the standardised prediction.

        Returns:
            `loss` and, in classification, `accuracy` (1 where only the network is right, -1 where
            only this predictor is), each [N].
        """
        columns = self.split.each_output(outputs)
        found = [one.gaps(column) for one, column in zip(self.each, columns, strict=True)]
        return {name: np.mean([gaps[name] for gaps in found], axis=0) for name in found[0]}


class _OfOneTarget:
    """The trivial predictor of a single target."""

    def __init__(self, split: Split, classes: int) -> None:
        self.split = split
        self.log_shares: np.ndarray | None = None
        if classes:
            shares = np.bincount(split.y_train, minlength=classes) / len(split.y_train)
            self.log_shares = np.log(np.clip(shares, LEAST_SHARE, None))

    def figures(self, part: str) -> dict[str, float]:
        targets = self.split.target(getattr(self.split, f"y_{part}"))
        if self.log_shares is None:  # the training mean is 0 once standardised
            return regression_figures(np.zeros((len(targets), 1)), targets, self.split.y_scale)
        answers = np.tile(self.log_shares, (len(targets), 1))
        found = probability_figures(answers, targets)
        return {name: found[name] for name in ("loss", "accuracy")}

    def gaps(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        targets = self.split.target(self.split.y_test)
        if self.log_shares is None:
            answers = outputs[:, 0].astype(np.float64)
            return {"loss": (answers - targets) ** 2 - targets.astype(np.float64) ** 2}
        log_p = log_softmax(outputs)
        right = (log_p.argmax(axis=1) == targets).astype(float)
        return {
            "loss": self.log_shares[targets] - log_p[np.arange(len(targets)), targets],
            "accuracy": right - (self.log_shares.argmax() == targets),
        }


def trivial_alone(split: Split, classes: int) -> dict[str, Any]:
    """Return the document of `trivial_document` without a confirmed network: validation only."""
    return {"validation": TrivialPredictor(split, classes).figures("valid")}


def trivial_run(split: Split, classes: int, outputs: np.ndarray) -> dict[str, Any]:
    """Return the trivial predictor's figures on one seed's split, and a network's gaps to it.

    Args:
        split: The seed's parts, not standardised.
        classes: Number of classes; 0 in regression.
        outputs: The network's outputs for the test rows.
    """
    predictor = TrivialPredictor(split, classes)
    return {
        "validation": predictor.figures("valid"),
        "test": predictor.figures("test"),
        "gaps": predictor.gaps(outputs),
    }


def trivial_document(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Combine the `trivial_run`s of all seeds.

    The interval is over the test rows, because every seed is tested on the same ones: they decide
    how close a network that learned nothing comes to the trivial predictor.

    Returns:
        `validation` and `test`: means over the seeds. `difference`: figure → `mean` of the
        network's minus the trivial predictor's, `ci95` (Student's, over the rows' means of all
        seeds) and `n` test rows.
    """
    difference = {}
    for name in runs[0]["gaps"]:
        value = estimate(np.mean([run["gaps"][name] for run in runs], axis=0).tolist())
        difference[name] = {"mean": value.mean, "ci95": value.ci95, "n": value.n}
    means = {
        part: {name: float(np.mean([run[part][name] for run in runs])) for name in runs[0][part]}
        for part in ("validation", "test")
    }
    return {**means, "difference": difference}
