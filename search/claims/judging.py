"""Judge claims by paired runs: contrast by contrast, then summed up in one word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trainstack.search.claims.figures import FIGURES, LOSS, paired_figures
from trainstack.search.claims.types import Answer, Claim, Context, Contrast, Judgement
from trainstack.search.evidence.ablation import TUNING_INDEX
from trainstack.search.evidence.candidates import usable
from trainstack.search.evidence.comparisons import EQUIVALENCE_MARGIN, contrast, verdict
from trainstack.search.evidence.effects import confirmed_losses, rest
from trainstack.search.evidence.estimates import Estimate, Verdict
from trainstack.search.evidence.prediction import enough_passes, monte_carlo_gain
from trainstack.search.records import CONFIRMATION, Run
from trainstack.spaces.stack import Stack

# Verdict on the first choice → answer to the claim.
_ANSWERS = {
    Verdict.BETTER: Answer.SUPPORTED,
    Verdict.WORSE: Answer.CONTRADICTED,
    Verdict.EQUIVALENT: Answer.EQUIVALENT,
}

# A contrast and its pairs of runs.
Paired = tuple[Contrast, Sequence[tuple[Run, Run]]]


def of_a_study(claim: Claim, context: Context) -> Judgement:
    """Judge a claim by all pairs among a study's runs."""
    if claim.judge is not None:
        return claim.judge(context)
    if not claim.contrasts:
        return Judgement(reason=f"needs {claim.needs}")
    runs = [r for r in context.runs if r.phase == CONFIRMATION and r.stack is not None]
    if claim.among is not None:
        runs = [r for r in runs if r.stack is not None and claim.among(r.stack, context.voids)]
    shown = [c for c in claim.contrasts if c.factor is None and not c.conditional]
    if not shown:
        return Judgement(reason=f"needs {claim.needs}")
    return summed(claim, weighed([(c, studied(c, runs)) for c in shown], context))


def studied(contrast: Contrast, runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Return every pair for a contrast: runs with equal seeds that differ in its axes only.

    What follows from an axis (an activation's initializer), an axis's own numbers and the learning
    rate may differ. Tuning runs make no pairs.
    """
    axes = contrast.axes
    without = (*axes, "initializer") if "activation" in axes else axes
    others: defaultdict[tuple[str, int], list[Run]] = defaultdict(list)
    mine: list[tuple[tuple[str, int], Run]] = []
    for run in runs:
        if run.phase != CONFIRMATION or run.seed_index == TUNING_INDEX or not usable(run):
            continue
        assert run.stack is not None
        is_first = _agrees(run.stack, contrast.first)
        is_second = _agrees(run.stack, contrast.second)
        if not (is_first or is_second):
            continue
        key = repr(rest(run.stack, without)), run.seed_index
        if is_first:
            mine.append((key, run))
        if is_second:
            others[key].append(run)
    return [(run, other) for key, run in mine for other in others[key]]


def _agrees(stack: Stack, choices: Mapping[str, Any]) -> bool:
    return all(stack[axis] == choice for axis, choice in choices.items() if "__" not in axis)


def weighed(paired: Sequence[Paired], context: Context) -> list[Judgement]:
    """Judge each contrast, with intervals that hold simultaneously for all claims."""
    table = confirmed_losses(context.runs)
    figures = [figures_of(c, rows) for c, rows in paired]
    family = context.comparisons * max(1, sum(bool(rows) for rows in figures))
    return [
        _weighed(c, rows, table, context, family)
        for (c, _), rows in zip(paired, figures, strict=True)
    ]


# Both stacks' ids, their seed's index, and the figure of each.
Row = tuple[str, str, int, float, float]


def figures_of(contrast: Contrast, paired: Sequence[tuple[Run, Run]]) -> list[Row]:
    """Return the figures of a contrast's pairs; pairs that lack them are left out."""
    found = []
    for first, second in paired:
        values = paired_figures(contrast.figure, first, second)
        if values is not None:
            found.append((first.stack_id or "", second.stack_id or "", first.seed_index, *values))
    return found


def _weighed(
    what: Contrast, rows: Sequence[Row], table: Any, context: Context, family: int
) -> Judgement:
    text = " against ".join(what.sides)
    if what.beyond is not None:
        text += ", beyond what " + " gains on ".join(what.beyond.sides)
    if what.factor is not None:
        text += f" at {what.factor:.3g} times the usual rate"
    if what.figure != LOSS:
        text += f", by {FIGURES[what.figure].title}"
    if not rows:
        return Judgement(reason=f"no pairs of {text}", figure=what.figure)
    # Only losses share estimates of their spread; other figures use their own pairs.
    lent, resolution = (table, context.resolution) if what.figure == LOSS else ({}, 0.0)
    gaps = [(a, b, seed, one - other) for a, b, seed, one, other in rows]
    value = contrast(gaps, lent, family, resolution)
    pairs, scale = len(rows), context.scale
    if what.beyond is not None:  # half of the rows are the other contrast's, reversed
        value, pairs = value.scaled(2.0), pairs // 2
    if what.figure != LOSS or scale is None:
        scale = sum(other for *_, other in rows) / len(rows)
    word = word_of(value, scale, what.at_least)
    return Judgement(word, value.mean, value.ci95, pairs, text, what.figure)


def word_of(value: Estimate, scale: float, at_least: bool = False) -> Answer:
    if at_least and value.high is not None and value.high <= EQUIVALENCE_MARGIN * abs(scale):
        return Answer.SUPPORTED
    return _ANSWERS.get(verdict(value, scale), Answer.NO_EVIDENCE)


def summed(claim: Claim, judgements: Sequence[Judgement]) -> Judgement:
    """Sum up the judgements of a claim's contrasts.

    A claim is contradicted if one contrast is. Otherwise it takes the strongest word, or, if every
    contrast must hold, the weakest word among those with pairs. The numbers are those of the first
    contrast with that word.
    """
    found = [one for one in judgements if one.n_pairs]
    if not found:
        axes = dict.fromkeys(a.replace("_", " ") for c in claim.contrasts for a in c.axes)
        many = f"{len(axes)} axes" if len(axes) > 3 else " or ".join(axes)
        return Judgement(reason=f"no paired runs that differ in {many} only")
    order = [Answer.SUPPORTED, Answer.EQUIVALENT, Answer.NO_EVIDENCE]
    order = [Answer.CONTRADICTED, *(reversed(order) if claim.every else order)]
    best = next(one for word in order for one in found if one.word == word)
    reason = best.reason
    if len(found) < len(judgements):
        reason += f"; {len(found)} of {len(judgements)} comparisons had pairs"
    elif len(found) > 1:
        kept = sum(one.word == best.word for one in found)
        reason += f"; so say {kept} of {len(found)} comparisons"
    return replace(best, reason=reason)


def good_default(context: Context) -> Judgement:
    """Judge whether the default stack is at least as good as its strongest rival."""
    if context.rival is None or context.rival.low is None:
        return Judgement(reason="no other stack was confirmed beside the default")
    # The rival minus the default: reversed, so that values below 0 favour the claim.
    turned = context.rival.scaled(-1.0)
    word = word_of(turned, context.scale or 0.0, at_least=True)
    reason = {
        Answer.SUPPORTED: "no confirmed stack beats it by more than the margin",
        Answer.CONTRADICTED: "a confirmed stack beats it",
    }.get(word, "a confirmed stack may be better by more than the margin")
    return Judgement(word, turned.mean, turned.ci95, turned.n, reason)


def better_probabilities(context: Context) -> Judgement:
    """Judge Monte-Carlo dropout by its reduction of log loss against one pass, per model."""
    measured = context.measured
    value = monte_carlo_gain(measured, "log_loss", context.comparisons)
    if value.n < 2:
        return Judgement(reason="the stack measured has no dropout, or one seed only")
    rows = measured.monte_carlo
    if not rows or measured.log_loss is None:
        return Judgement(reason="a log loss that is not finite")
    word = word_of(value, measured.log_loss)
    passes, enough = f"{rows[-1]['passes']:.0f}", enough_passes(rows)
    reason = f"log loss of {passes} passes against one without dropout"
    if rows[-1]["log_loss"] < rows[0]["log_loss"]:
        reason += f"; {enough} passes give nine tenths of what {passes} win over one"
    return Judgement(word, value.mean, value.ci95, value.n, reason)
