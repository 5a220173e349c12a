"""Yardsticks of a recommendation: the predictor without features, and gradient boosting.

All figures come from the measurement, the one evaluation on the test set, which
`trainstack.workers.tasks.trivial_predictor` contributes to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainstack.search.evidence.formatting import interval, number, signed

if TYPE_CHECKING:
    pass

# Metric → constant prediction of the trivial predictor.
ANSWERS = {"accuracy": "the class shares", "rmse": "the mean of the training targets"}
# Smaller differences of figures are due to rounding.
SAME = 1e-9


def trivial(part: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """Return the trivial predictor's figures for one stack, null where not measured.

    Args:
        part: `chosen` or `baseline` of the measurement.
        metric: `accuracy` or `rmse`.

    Returns:
        `validation` and `test`: `loss` and the metric. `difference`: test loss (and accuracy) of
        the stack minus the trivial predictor's, `mean`, `ci95` over the test rows, and `n` rows.
    """
    found = part.get("trivial") or {}
    compared = ("loss", "accuracy") if metric == "accuracy" else ("loss",)
    nothing = {"mean": None, "ci95": None, "n": 0}
    return {
        **{name: _figures(found.get(name), metric) for name in ("validation", "test")},
        "difference": {
            what: dict((found.get("difference") or {}).get(what) or nothing) for what in compared
        },
    }


def _figures(found: Mapping[str, float] | None, metric: str) -> dict[str, float | None]:
    return {what: (found or {}).get(what) for what in ("loss", metric)}


def beats_trivial(beside: Mapping[str, Any]) -> bool | None:
    """Tell whether a stack's test loss is shown to be below the trivial predictor's.

    Args:
        beside: Result of `trivial`.

    Returns:
        None if no test row was compared.
    """
    gap = beside["difference"]["loss"]
    if gap["mean"] is None:
        return None
    return (gap["ci95"] or [gap["mean"]])[-1] < 0.0


def nothing_learned(
    mine: Mapping[str, Any], base: Mapping[str, Any], metric: str, is_default: bool
) -> str:
    """Return an opening sentence if neither stack beats the trivial predictor, else "".

    Args:
        mine: Result of `trivial` for the recommended stack.
        base: Result of `trivial` for the chapter's default.
        metric: `accuracy` or `rmse`.
        is_default: True if both are the same stack.
    """
    if beats_trivial(mine) is not False or beats_trivial(base) is not False:
        return ""
    none = "neither this stack nor the chapter's default is better"
    who = "the chapter's default is no better" if is_default else none
    return f"No stack was shown to learn anything: {who} than always answering {ANSWERS[metric]}. "


def trivial_warnings(
    beside: Mapping[str, Any], scores: Mapping[str, Any], loss: float | None, metric: str
) -> list[str]:
    """Warn if a stack does not beat the trivial predictor in loss or in accuracy.

    Args:
        beside: Result of `trivial` for the stack.
        scores: The stack's test scores, `loss` and the metric.
        loss: Its validation loss, which decides if the test set was not opened.
        metric: `accuracy` or `rmse`.
    """
    return [*_loss_warning(beside, scores, loss, ANSWERS[metric]), *_share_warning(beside, scores)]


def _loss_warning(
    beside: Mapping[str, Any], scores: Mapping[str, Any], loss: float | None, answer: str
) -> list[str]:
    head = f"The recommended stack is no better than always answering {answer}"
    gap, floor = beside["difference"]["loss"], beside["validation"]["loss"]
    if gap["mean"] is None:
        if loss is None or floor is None or loss < floor:
            return []
        return [f"{head}: validation loss {number(loss)} against {number(floor)}."]
    if beats_trivial(beside):
        return []
    against = f"test loss {number(scores['loss']['mean'])} against {number(beside['test']['loss'])}"
    if gap["mean"] >= 0.0:
        return [f"{head}: {against}."]
    why = f"the difference may be luck (95 % interval {interval(gap['ci95'], signed)} over "
    return [f"{head}, as far as {gap['n']} test rows can show: {against}; {why}these rows)."]


def _share_warning(beside: Mapping[str, Any], scores: Mapping[str, Any]) -> list[str]:
    gap = beside["difference"].get("accuracy")
    if not gap or gap["mean"] is None:
        return []
    mine, share = number(scores["accuracy"]["mean"]), number(beside["test"]["accuracy"])
    if abs(gap["mean"]) <= SAME:
        return [f"An accuracy of {mine} is the majority class's share: judge by the loss."]
    low, high = gap["ci95"] or [gap["mean"], gap["mean"]]
    if high < 0.0:
        return [f"An accuracy of {mine} is below the majority class's share, {share}."]
    if low <= 0.0:
        return [f"An accuracy of {mine} cannot be told from the majority class's share, {share}."]
    return []


def yardstick(
    found: Mapping[str, Any] | None, scores: Mapping[str, Any], metric: str
) -> dict[str, Any]:
    """Return the yardstick's figures and their comparison with the recommended stack's.

    Args:
        found: The measurement's `yardstick`, or None.
        scores: The recommended stack's test scores, `loss` and the metric.
        metric: `accuracy` or `rmse`.

    Returns:
        `model`, `left_out` (why, or None), `seconds`, `validation` and `test` with `loss` and the
        metric, null where not measured; `against`: `loss` and the metric, each `better` or
        `worse` than the stack's interval on the test rows, `level` within it, or None.
    """
    found = found or {}
    test = _figures(found.get("test"), metric)
    return {
        **{what: found.get(what) for what in ("model", "left_out", "seconds")},
        "validation": _figures(found.get("validation"), metric),
        "test": test,
        "against": {
            what: _against(test[what], scores[what], higher=what == "accuracy") for what in test
        },
    }


def _against(value: float | None, score: Mapping[str, Any], higher: bool) -> str | None:
    if value is None or score["mean"] is None:
        return None
    low, high = score["ci95"] or (score["mean"], score["mean"])
    if low - SAME <= value <= high + SAME:
        return "level"
    return "better" if (value > high) is higher else "worse"


def yardstick_line(beside: Mapping[str, Any], metric: str) -> str:
    """Return the yardstick in one line, or why it is left out; empty if not requested."""
    title = f"Gradient boosting (scikit-learn's {beside['model']} with its defaults)"
    if beside["left_out"]:
        return f"{title} was left out: {beside['left_out']}."
    if beside["test"]["loss"] is None:
        return ""
    against = beside["against"]
    comparison = _compared(against["loss"], against.get("accuracy"))
    return f"{title} on the same rows: {_parts(beside, metric)}{comparison}."


def _compared(loss: str | None, accuracy: str | None) -> str:
    """Return the comparison of the yardstick with the network; empty without a network."""
    if loss is None:
        return ""
    line = f"{'level with' if loss == 'level' else f'{loss} than'} the network"
    if accuracy not in (None, loss):
        line += f" in loss, {accuracy} in accuracy"
    return (
        f"; {line}"
        + {
            "better": ". The network does not beat it, and may not be the right tool here",
            "level": ". The network does not beat it",
            "worse": "",
        }[loss]
    )


def trivial_line(beside: Mapping[str, Any], metric: str) -> str:
    """Return the trivial predictor's figures in one line; empty if not measured."""
    if beside["validation"]["loss"] is None:
        return ""
    return f"Always answering {ANSWERS[metric]}: {_parts(beside, metric)}."


def _parts(beside: Mapping[str, Any], metric: str) -> str:
    """Return `validation loss 2.3, accuracy 0.1; test loss 2.3, accuracy 0.1`."""
    return "; ".join(
        f"{part} loss {number(beside[part]['loss'])}, {metric} {number(beside[part][metric])}"
        for part in ("validation", "test")
        if beside[part]["loss"] is not None
    )
