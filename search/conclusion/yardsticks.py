"""Yardsticks of a recommendation: the predictor without features, and gradient boosting.

All figures come from the measurement, the one evaluation on the test set, which
`trainstack.workers.tasks.trivial_predictor` contributes to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from trainstack.search.conclusion.models import Models
from trainstack.search.evidence.deciding import LOSS, Deciding
from trainstack.search.evidence.estimates import Estimate, Figures, Score
from trainstack.search.evidence.formatting import interval, number, signed
from trainstack.search.json_values import IF_ANY

# Metric → constant prediction of the trivial predictor.
ANSWERS = {"accuracy": "the class shares", "rmse": "the mean of the training targets"}
# Smaller differences of figures are due to rounding.
SAME = 1e-9


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
        _figures(found.get("validation"), metric),
        _figures(found.get("test"), metric),
        Gaps(**{what: _estimate(gaps.get(what)) for what in compared}),
    )


def _figures(found: Mapping[str, float | None] | None, metric: str) -> Figures:
    named = {what: _or_nan((found or {}).get(what)) for what in ("loss", metric)}
    every = {name: _or_nan(v) for name, v in (found or {}).items() if name != "loss"}
    return Figures(**named, metrics=every if len(every) > 1 else None)


def _estimate(found: Mapping[str, Any] | None) -> Estimate:
    if not found:
        return Estimate(math.nan)
    ends = found["ci95"]
    return Estimate(_or_nan(found["mean"]), (ends[0], ends[1]) if ends else None, found["n"])


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


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


def yardstick(found: Mapping[str, Any] | None, scores: Score, deciding: Deciding) -> Yardstick:
    """Return the yardstick's figures and their comparison with the recommended stack's.

    Args:
        found: The measurement's `yardstick`, or None.
        scores: The recommended stack's test scores.
        deciding: What decides the study.
    """
    found, metric, asked = found or {}, deciding.beside, deciding.figure
    test = _figures(found.get("test"), metric)
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
        validation=_figures(found.get("validation"), metric),
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
    return f"{title} on the same rows: {_parts(beside, deciding)}{comparison}{ending}."


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


def trivial_line(beside: Trivial, deciding: Deciding) -> str:
    """Return the trivial predictor's figures in one line; empty if not measured."""
    if math.isnan(beside.validation.loss):
        return ""
    return f"Always answering {ANSWERS[deciding.beside]}: {_parts(beside, deciding)}."


def _parts(beside: Trivial | Yardstick, deciding: Deciding) -> str:
    """Return `validation loss 2.3, accuracy 0.1; test loss 2.3, accuracy 0.1`."""
    return "; ".join(
        f"{part} " + ", ".join(f"{name} {number(figures.figure(name))}" for name in deciding.shown)
        for part, figures in (("validation", beside.validation), ("test", beside.test))
        if not math.isnan(figures.loss)
    )
