"""The trivial predictor, which uses no features, beside a recommendation.

All figures come from the measurement, the one evaluation on the test set, to which
`trainstack.workers.tasks.trivial_predictor` contributes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainstack.search.conclusion.figures import SAME, figures_line, figures_of, or_nan
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.estimates import Estimate, Figures, Score
from trainstack.search.evidence.formatting import interval, number, signed
from trainstack.search.json_values import IF_ANY

# Metric → constant prediction of the trivial predictor.
ANSWERS = {"accuracy": "the class shares", "rmse": "the mean of the training targets"}


@dataclass(frozen=True)
class Gaps:
    """A stack's test figures minus the trivial predictor's, row by row, means over the seeds.

    Attributes:
        loss: Difference in loss; below 0 the stack is better. The interval is over test rows.
        accuracy: Difference in accuracy, in classification.
    """

    loss: Estimate
    accuracy: Estimate | None = field(default=None, metadata=IF_ANY)


@dataclass(frozen=True)
class Trivial:
    """The trivial predictor, compared with a stack.

    Attributes:
        validation: Its figures, means over the confirmation's splits.
        test: Its figures on the test rows.
        difference: The stack's test figures minus these.
    """

    validation: Figures
    test: Figures
    difference: Gaps

    @property
    def is_beaten(self) -> bool | None:
        """True if the stack's test loss is shown to be lower; None if no row was compared."""
        gap = self.difference.loss
        if math.isnan(gap.mean):
            return None
        return (gap.ci95 or (gap.mean,))[-1] < 0.0


def trivial(part: Mapping[str, Any], metric: str) -> Trivial:
    """Return the trivial predictor's figures for one stack, nan where not measured.

    Args:
        part: `chosen` or `baseline` of the measurement.
        metric: `accuracy` or `rmse`.
    """
    found = part.get("trivial") or {}
    compared = ("loss", "accuracy") if metric == "accuracy" else ("loss",)
    gaps = found.get("difference") or {}
    return Trivial(
        figures_of(found.get("validation"), metric),
        figures_of(found.get("test"), metric),
        Gaps(**{what: _estimate(gaps.get(what)) for what in compared}),
    )


def _estimate(found: Mapping[str, Any] | None) -> Estimate:
    if not found:
        return Estimate(math.nan)
    ends = found["ci95"]
    return Estimate(or_nan(found["mean"]), (ends[0], ends[1]) if ends else None, found["n"])


def nothing_learned(mine: Trivial, base: Trivial, metric: str, is_default: bool) -> str:
    """Return an opening sentence if neither stack beats the trivial predictor, else "".

    Args:
        mine: The predictor compared with the recommended stack.
        base: The predictor compared with the chapter's default.
        metric: `accuracy` or `rmse`.
        is_default: True if both are the same stack.
    """
    if mine.is_beaten is not False or base.is_beaten is not False:
        return ""
    none = "neither this stack nor the chapter's default is better"
    who = "the chapter's default is no better" if is_default else none
    return f"No stack was shown to learn anything: {who} than always answering {ANSWERS[metric]}. "


def trivial_warnings(beside: Trivial, scores: Score, loss: float | None, metric: str) -> list[str]:
    """Warn if a stack does not beat the trivial predictor in loss or in accuracy.

    Args:
        beside: The predictor compared with the stack.
        scores: The stack's test scores.
        loss: Its validation loss, which decides if the test set was not opened.
        metric: `accuracy` or `rmse`.
    """
    return [*_loss_warning(beside, scores, loss, ANSWERS[metric]), *_share_warning(beside, scores)]


def _loss_warning(beside: Trivial, scores: Score, loss: float | None, answer: str) -> list[str]:
    head = f"The recommended stack is no better than always answering {answer}"
    gap, floor = beside.difference.loss, beside.validation.loss
    if beside.is_beaten is None:
        if loss is None or math.isnan(floor) or loss < floor:
            return []
        return [f"{head}: validation loss {number(loss)} against {number(floor)}."]
    if beside.is_beaten:
        return []
    against = f"test loss {number(scores.loss.mean)} against {number(beside.test.loss)}"
    if gap.mean >= 0.0:
        return [f"{head}: {against}."]
    why = f"the difference may be luck (95 % interval {interval(gap.ci95, signed)} over "
    return [f"{head}, as far as {gap.n} test rows can show: {against}; {why}these rows)."]


def _share_warning(beside: Trivial, scores: Score) -> list[str]:
    gap = beside.difference.accuracy
    if gap is None or math.isnan(gap.mean):
        return []
    mine, share = number(scores.metric.mean), number(beside.test.accuracy)
    if abs(gap.mean) <= SAME:
        return [f"An accuracy of {mine} is the majority class's share: judge by the loss."]
    low, high = gap.ci95 or (gap.mean, gap.mean)
    if high < 0.0:
        return [f"An accuracy of {mine} is below the majority class's share, {share}."]
    if low <= 0.0:
        return [f"An accuracy of {mine} cannot be told from the majority class's share, {share}."]
    return []


def trivial_line(beside: Trivial, deciding: Deciding) -> str:
    """Return the trivial predictor's figures in one line; empty if not measured."""
    if math.isnan(beside.validation.loss):
        return ""
    figures = figures_line(beside.validation, beside.test, deciding)
    return f"Always answering {ANSWERS[deciding.beside]}: {figures}."
