"""A choice as a decision: its gain, its probabilities, its risk, and what would decide it."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from tests.support.planted_study import BETTER, LAST, Planted, finished_study
from trainstack.search.conclusion.decision_text import decision_line, risk_line
from trainstack.search.conclusion.recommendation import Recommendation, recommend
from trainstack.search.conclusion.text import text_of
from trainstack.search.evidence.comparisons import estimate
from trainstack.search.evidence.decision import (
    MOST_SEEDS,
    POWER,
    expected_excess,
    probability_below,
    would_decide,
)
from trainstack.search.evidence.estimates import Estimate
from trainstack.search.json_values import json_safe

VALUES = (-0.03, -0.01, -0.02, 0.01, -0.04)
OPEN = Planted(effects={"dropout": {"last": -0.03}}, deviation=0.06, shared=0.3)


def undecided() -> Recommendation:
    """A study whose best stack is not told from the default."""
    found = recommend(*finished_study(replace(OPEN, world=1)), {})
    assert found.decision is not None
    assert found.decision.would_decide is not None
    return found


@pytest.mark.parametrize("bound", [0.0, -0.02, 0.05])
def test_probabilities_are_students_about_the_mean(bound: float) -> None:
    """With one comparison P(difference < bound) is Student's distribution function, as in SciPy."""
    value = estimate(VALUES)
    error = np.std(VALUES, ddof=1) / math.sqrt(len(VALUES))
    expected = stats.t.cdf((bound - np.mean(VALUES)) / error, len(VALUES) - 1)
    assert probability_below(value, bound) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("mean", [-0.05, 0.0, 0.02])
def test_expected_loss_is_the_integral_of_the_positive_part(mean: float) -> None:
    """E[max(difference, 0)] equals numerical integration over Student's density."""
    value = estimate([v + mean for v in VALUES])
    error = np.std(VALUES, ddof=1) / math.sqrt(len(VALUES))
    about = len(VALUES) - 1, value.mean, error
    expected, _ = integrate.quad(lambda d: d * stats.t.pdf(d, *about), 0.0, np.inf)
    assert expected_excess(value) == pytest.approx(expected, rel=1e-6)


def test_wider_intervals_are_less_sure() -> None:
    """An interval corrected for more comparisons lowers the probability of the likelier side."""
    one, eight = estimate(VALUES), estimate(VALUES, comparisons=8)
    assert 0.5 < probability_below(eight, 0.0) < probability_below(one, 0.0)  # type: ignore[operator]


def test_the_probability_agrees_with_the_interval() -> None:
    """An interval that ends at 0 gives 97.5 %, whatever its correction."""
    value = estimate(VALUES, comparisons=5)
    assert value.high is not None
    at_zero = replace(
        value, mean=value.mean - value.high, ci95=(2 * value.mean - 2 * value.high, 0.0)
    )
    assert probability_below(at_zero, 0.0) == pytest.approx(0.975, abs=1e-9)


def test_without_a_spread_nothing_is_invented() -> None:
    """One pair, or one degree of freedom, gives no probability or no expected loss."""
    assert probability_below(estimate([0.1]), 0.0) is None
    assert expected_excess(estimate([0.1, 0.2])) is None
    assert probability_below(estimate([-0.1, -0.1]), 0.0) == 1.0
    assert expected_excess(Estimate(0.2, (0.2, 0.2), 3, 0.0, 2.0)) == 0.2


def test_the_seeds_that_would_decide_do_so_in_the_stated_share() -> None:
    """With the number of pairs that it gives, about 80 % of intervals exclude 0."""
    rng = np.random.default_rng(0)
    n, deviation, gap, scale = 20, 0.05, 0.02, 0.1
    half = float(stats.t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    found = would_decide(Estimate(-gap, (-gap - half, -gap + half), n, deviation), scale, 2.0)
    assert found is not None
    assert found.seconds == 2.0 * found.seeds
    total = n + found.seeds
    pairs = rng.normal(-gap, deviation, (4000, total))
    ratio = pairs.mean(axis=1) / (pairs.std(axis=1, ddof=1) / math.sqrt(total))
    share = np.mean(np.abs(ratio) > stats.t.ppf(0.975, total - 1))
    assert share == pytest.approx(POWER, abs=0.03)


def test_a_difference_within_the_margin_is_decided_as_equivalent() -> None:
    """A mean of 0 needs the seeds whose interval lies within 5 % of the default's loss."""
    value = Estimate(0.0, (-0.1, 0.1), 4, 0.08)
    found = would_decide(value, scale=1.0, seconds_per_seed=None)
    assert found is not None
    need = (0.1 * 2 + stats.norm.ppf(POWER) * 0.08) / 0.05
    assert (found.seeds, found.seconds) == (math.ceil(need**2) - 4, None)


def test_what_no_affordable_number_decides_is_not_offered() -> None:
    """Beyond a hundred seeds, below a metric's resolution, or once decided there is no offer."""
    far = Estimate(-0.02, (-0.5, 0.46), MOST_SEEDS // 2, 1.0)
    assert would_decide(far, 0.5, 1.0) is None
    coarse = Estimate(-0.01, (-0.06, 0.04), 5, 0.02)
    assert would_decide(coarse, 0.3, 1.0, resolution=0.05) is None
    assert would_decide(Estimate(-0.2, (-0.3, -0.1), 5, 0.02), 1.0, 1.0) is None


def test_the_decision_states_the_gain_of_the_recommended_stack() -> None:
    """A stack planted 40 % below the default has that gain, in every pair, and nothing open."""
    found = recommend(*finished_study(BETTER), {})
    decision = found.decision
    assert decision is not None
    assert decision.gain is not None
    assert decision.ci95 is not None
    assert (decision.stack_id, found.stack) == (LAST.stack_id, LAST)
    assert decision.gain == pytest.approx(
        -found.difference.mean / found.baseline.validation.loss.mean
    )
    assert decision.ci95[0] <= 0.4 <= decision.ci95[1]
    assert (decision.pairs_better, decision.n_pairs) == (5, 5)
    assert decision.would_decide is None
    line = decision_line(found)
    assert "% lower loss; better in 5 of 5 paired runs; we are more than 99.9 % sure" in line
    assert line in " ".join(text_of(found).split())
    assert decision.probability_better_by_margin is not None
    assert decision.probability_better_by_margin > 0.999
    assert risk_line(found).startswith(
        "It is better by at least 5 % with a probability of more than 99.9 %; choosing it is"
    )


def test_the_risk_of_a_default_is_that_of_the_best_other_stack() -> None:
    """The line gives the record's numbers, and says that they are of another stack."""
    found = undecided()
    assert found.decision is not None
    chance = found.decision.probability_better_by_margin
    assert chance is not None
    assert found.decision.expected_loss is not None
    line = risk_line(found)
    assert line.startswith("That stack is better by at least 5 % with a probability of ")
    shown = [float(x) for x in re.findall(r"([\d.]+) % ?(?:;|of)", line)]
    assert shown == pytest.approx([100 * chance, 100 * found.decision.expected_loss], rel=0.05)


def test_a_recommended_default_is_judged_by_the_best_of_the_others() -> None:
    """If nothing is shown to be better, the record names the best of the others."""
    found = undecided()
    decision = found.decision
    assert decision is not None
    assert decision.would_decide is not None
    assert found.stack == found.baseline.stack
    assert decision.stack_id != found.stack_id
    total = decision.n_pairs + decision.would_decide.seeds
    assert decision_line(found).endswith(f"trainstack confirm made-up --replicates {total}")


def test_an_open_comparison_that_no_affordable_number_decides_says_so() -> None:
    """Without an offer the line ends with the number of seeds that would not do."""
    found = undecided()
    assert found.decision is not None
    hard = replace(found, decision=replace(found.decision, would_decide=None))
    assert decision_line(hard).endswith(" It would take more than 100 seeds to decide.")
    decided = recommend(*finished_study(BETTER), {})
    assert "seeds to decide" not in decision_line(decided)


def test_one_replicate_gives_a_gain_without_an_interval() -> None:
    """One pair has a gain and a count, but neither interval nor probability."""
    document = json_safe(recommend(*finished_study(replicates=1), {}))["decision"]
    assert (document["n_pairs"], document["ci95"], document["probability_better"]) == (
        1,
        None,
        None,
    )
    assert document["gain"] > 0.0


def test_without_pairs_there_is_no_decision() -> None:
    """A study without a confirmation has no decision, and its text says nothing about one."""
    found = recommend(*finished_study(replicates=0), {})
    assert found.decision is None
    assert decision_line(found) == ""


def test_a_spread_beyond_all_numbers_decides_nothing() -> None:
    """If a metric is so large that its squares overflow, no number of seeds is given."""
    endless = Estimate(1e300, (-math.inf, math.inf), 5, math.inf, 4.0)
    assert would_decide(endless, 1e300, None) is None
