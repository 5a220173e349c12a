"""Planted studies: each metric's study recommends the stack that is best by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.planted_study import ADAM, EXPONENTIAL, Planted, made_up_spec
from trainstack.search.conclusion.recommendation import Recommendation, recommend
from trainstack.search.conclusion.text import text_of
from trainstack.search.evidence.race import next_runs
from trainstack.search.metrics.table import METRICS
from trainstack.search.records import CONFIRMATION, Run
from trainstack.spaces.references import CHAPTER_DEFAULT

STACKS = (CHAPTER_DEFAULT, ADAM, EXPONENTIAL)
# Metric → its value for each stack: one is best by the first of a pair, the other by the second.
TRUTH = {
    "accuracy": (0.90, 0.95, 0.91),
    "balanced_accuracy": (0.70, 0.60, 0.85),
    "log_loss": (0.50, 0.30, 0.45),
    "roc_auc": (0.80, 0.85, 0.95),
}
BEST = {"accuracy": ADAM, "balanced_accuracy": EXPONENTIAL, "log_loss": ADAM}
BEST |= {"roc_auc": EXPONENTIAL}


def concluded(metric: str) -> Recommendation:
    """Return the conclusion of a study of the stacks that one metric decides."""
    spec = made_up_spec(space={"axes": {}}, trials=3, metric="" if metric == "log_loss" else metric)

    def run(stack, seed: int, number: int, index: int = -1) -> Run:
        made = Planted().run(stack, seed, number, index)
        noise = 0.002 * np.random.default_rng([seed, STACKS.index(stack)]).normal()
        found = {name: of[STACKS.index(stack)] + noise for name, of in TRUTH.items()}
        value = METRICS[metric].objective(found[metric])
        metrics = {**found, "loss": found["log_loss"], "parameters": 1000.0}
        curve = (*made.curve[:-1], value)
        return replace(made, value=value, curve=curve, metrics=metrics)

    runs = [run(stack, 100 + k, k) for k, stack in enumerate(STACKS)]
    while wanted := [p for p in next_runs(spec, runs) if p.stack in STACKS]:
        first = sum(r.phase == CONFIRMATION for r in runs)
        runs += [run(p.stack, p.seed, first + k, p.seed_index) for k, p in enumerate(wanted)]
        if len(runs) > 18:
            break
    return recommend(spec, runs, {})


@pytest.mark.parametrize("metric", TRUTH)
def test_each_metric_recommends_its_own_best_stack(metric: str) -> None:
    """It is better than the default, and the sentence gives the metric's own value."""
    found = concluded(metric)
    place = STACKS.index(BEST[metric])
    assert found.stack == BEST[metric]
    assert (found.metric, found.verdict) == (metric, "better")
    assert found.difference.mean < 0.0
    assert found.validation.metrics[metric].mean == pytest.approx(TRUTH[metric][place], abs=0.01)
    what = "loss" if metric == "log_loss" else metric
    assert f"validation {what} 0." in found.sentence
    side = "higher" if METRICS[metric].rises else "lower"
    assert f" {side} (95 % interval" in found.sentence
    assert f"difference in {what}" in text_of(found)
