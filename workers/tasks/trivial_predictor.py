"""The trivial predictor, a baseline for every recommendation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainstack.search.evidence.comparisons import estimate
from trainstack.workers.tasks.metrics import Scorer

# Share that the trivial predictor assigns to a class without a training row.
LEAST_SHARE = 1e-12


class TrivialPredictor:
    """A predictor without features, fitted on a split's training part.

    It predicts the class shares, or the mean of the targets, for every row. Of several targets its
    figures and gaps are means over them.

    Args:
        scorer: Scores it; has the split and its weights.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.each = [_OfOneTarget(one) for one in scorer.each()]
        self.scorer = scorer

    def figures(self, part: str) -> dict[str, float]:
        """Return its figures on a part, on the same scale as a network's (`Scorer.figures`).

        Args:
            part: `valid` or `test`.
        """
        answers = [one.answers(part) for one in self.each]
        return self.scorer.figures(answers if len(answers) > 1 else answers[0], part)

    def gaps(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return a network's loss minus this predictor's on each test row; accuracy likewise.

        A row counts as its weight, relative to the mean weight of the test rows.

        Args:
            outputs: The network's outputs, [N, K]: logits, or the standardised prediction.

        Returns:
            `loss` and, in classification, `accuracy` (1 where only the network is right, -1 where
            only this predictor is), each [N].
        """
        columns = self.scorer.split.each_output(outputs)
        found = [one.gaps(column) for one, column in zip(self.each, columns, strict=True)]
        return {name: np.mean([gaps[name] for gaps in found], axis=0) for name in found[0]}


class _OfOneTarget:
    """The trivial predictor of a single target."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer, split = scorer, scorer.split
        w = split.weights("train")
        if scorer.classes:
            shares = np.bincount(split.y_train, weights=w, minlength=scorer.classes) / w.sum()
            self._answer: np.ndarray | float = np.log(np.clip(shares, LEAST_SHARE, None))
        else:
            mean = float(np.average(split.y_train, weights=w))
            self._answer = (mean - split.y_mean) / split.y_scale

    def answers(self, part: str) -> np.ndarray:
        rows = len(getattr(self.scorer.split, f"y_{part}"))
        return np.tile(self._answer, (rows, 1) if self.scorer.classes else rows)

    def gaps(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        scorer = self.scorer
        mine, other = self.answers("test"), scorer.answers(outputs)
        w = scorer.split.weights("test")
        share = w / w.mean()
        gaps = {"loss": scorer.losses(other, "test") - scorer.losses(mine, "test")}
        if scorer.classes:
            y = scorer.split.y_test
            right, trivial = (each.argmax(axis=1) == y for each in (other, mine))
            gaps["accuracy"] = right.astype(float) - trivial
        return {name: share * gap for name, gap in gaps.items()}


def trivial_alone(scorer: Scorer) -> dict[str, Any]:
    """Return the document of `trivial_document` without a confirmed network: validation only."""
    return {"validation": TrivialPredictor(scorer).figures("valid")}


def trivial_run(scorer: Scorer, outputs: np.ndarray) -> dict[str, Any]:
    """Return the trivial predictor's figures on one seed's split, and a network's gaps to it.

    Args:
        scorer: Scores on the seed's split.
        outputs: The network's outputs for the test rows.
    """
    predictor = TrivialPredictor(scorer)
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
        part: {
            name: float(np.mean([run[part][name] for run in runs]))
            for name in runs[0][part]
            if all(name in run[part] for run in runs)
        }
        for part in ("validation", "test")
    }
    return {**means, "difference": difference}
