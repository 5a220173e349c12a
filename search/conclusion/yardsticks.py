"""The yardstick of a recommendation: gradient boosting on the same rows.

Its figures come from the measurement, the one evaluation on the test set, to which
`trainstack.workers.tasks.yardstick` contributes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from trainstack.search.conclusion.figures import SAME, figures_line, figures_of
from trainstack.search.conclusion.models import Models
from trainstack.search.evidence.deciding import LOSS, Deciding
from trainstack.search.evidence.estimates import Estimate, Figures, Score
from trainstack.search.evidence.formatting import number
from trainstack.search.json_values import IF_ANY


class Standing(Enum):
    """The yardstick's figure against the stack's interval on the test rows."""

    BETTER = "better"
    LEVEL = "level"
    WORSE = "worse"
    UNKNOWN = None


@dataclass(frozen=True)
class Against:
    """How the yardstick compares with the recommended stack on the test rows.

    Attributes:
        loss: `better` or `worse` than the stack's interval, `level` within it; null: not measured.
        accuracy: The same, in classification.
        rmse: The same, in regression.
        metric: The same for the metric that decides, if it is not the loss.
    """

    loss: Standing
    accuracy: Standing | None = field(default=None, metadata=IF_ANY)
    rmse: Standing | None = field(default=None, metadata=IF_ANY)
    metric: Standing | None = field(default=None, metadata=IF_ANY)


@dataclass(frozen=True)
class Yardstick:
    """A standard model of another kind, trained on the same rows.

    Attributes:
        model: Its class in scikit-learn; null: not requested or not trained.
        left_out: Reason why it was not trained, or null.
        seconds: Training time.
        validation: Its figures on the split of the confirmation's first seed.
        test: Its figures on the test rows.
        against: How it compares with the recommended stack.
    """

    model: str | None
    left_out: str | None
    seconds: float | None
    validation: Figures
    test: Figures
    against: Against


def yardstick(found: Mapping[str, Any] | None, scores: Score, deciding: Deciding) -> Yardstick:
    """Return the yardstick's figures and their comparison with the recommended stack's.

    Args:
        found: The measurement's `yardstick`, or None.
        scores: The recommended stack's test scores.
        deciding: What decides the study.
    """
    found, metric, asked = found or {}, deciding.beside, deciding.figure
    test = figures_of(found.get("test"), metric)
    standings = {
        "loss": _against(test.loss, scores.loss, higher=False),
        metric: _against(test.metric, scores.metric, higher=metric == "accuracy"),
    }
    if asked != LOSS:
        standings["metric"] = _against(
            test.figure(asked), scores.figure(asked), higher=deciding.rises
        )
    return Yardstick(
        *(found.get(what) for what in ("model", "left_out", "seconds")),
        validation=figures_of(found.get("validation"), metric),
        test=test,
        against=Against(**standings),
    )


def _against(value: float | None, score: Estimate, higher: bool) -> Standing:
    if value is None or math.isnan(value) or math.isnan(score.mean):
        return Standing.UNKNOWN
    low, high = score.ci95 or (score.mean, score.mean)
    if low - SAME <= value <= high + SAME:
        return Standing.LEVEL
    return Standing.BETTER if (value > high) is higher else Standing.WORSE


def yardstick_line(beside: Yardstick, deciding: Deciding, models: Models) -> str:
    """Return the yardstick in one line, or why it is left out; empty if not requested.

    Args:
        beside: Its figures.
        deciding: What decides the study.
        models: The models that can be exported: the default one may beat it where one network of
            the recommended stack does not.
    """
    title = f"Gradient boosting (scikit-learn's {beside.model} with its defaults)"
    if beside.left_out:
        return f"{title} was left out: {beside.left_out}."
    if math.isnan(beside.test.loss):
        return ""
    comparison, standing = _compared(beside.against, deciding)
    ending = _ending(standing, beside, deciding, models)
    figures = figures_line(beside.validation, beside.test, deciding)
    return f"{title} on the same rows: {figures}{comparison}{ending}."


def _compared(against: Against, deciding: Deciding) -> tuple[str, Standing]:
    """Return the comparison with the network in words, and the standing that counts."""
    loss, accuracy = against.loss, against.accuracy
    if loss is Standing.UNKNOWN:
        return "", loss
    if against.metric is not None and against.metric is not Standing.UNKNOWN:
        level = against.metric is Standing.LEVEL
        how = "level with" if level else f"{against.metric.value} than"
        return f"; {how} the network in {deciding.figure}", against.metric
    how = "level with" if loss is Standing.LEVEL else f"{loss.value} than"
    line = f"; {how} the network"
    if accuracy not in (None, Standing.UNKNOWN, loss):
        line += f" in loss, {accuracy.value} in accuracy"
    return line, loss


def _ending(standing: Standing, beside: Yardstick, deciding: Deciding, models: Models) -> str:
    """Return what a yardstick that the network does not beat means for the user."""
    if standing not in (Standing.BETTER, Standing.LEVEL):
        return ""
    exported, figure = models.each().get(models.default), deciding.figure
    other = beside.test.figure(figure)
    if exported is not None and other is not None:
        mine = exported.test.figure(figure).mean
        if (mine > other) if deciding.rises else (mine < other):
            value = f"test {figure} {number(mine)}"
            return f". One network does not beat it, the {models.default} model does: {value}"
    doubt = ", and may not be the right tool here" if standing is Standing.BETTER else ""
    return f". The network does not beat it{doubt}"
