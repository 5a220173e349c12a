"""Paired statistics compared with SciPy, and with simulations of known truth."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from trainstack.search.evidence.comparisons import (
    EQUIVALENCE_MARGIN,
    compare,
    estimate,
    optimism,
    paired,
    seed_deviation,
    verdict,
)
from trainstack.search.evidence.estimates import Estimate, Verdict
from trainstack.search.json_values import json_safe


def made_up_table(
    rng: np.random.Generator, deviations: tuple[float, ...], seeds: int = 5, gain: float = 0.0
) -> dict[str, dict[int, float]]:
    """Losses of stacks "0", "1", …: shared seed noise (4/5 of the variance), and "1" gains."""
    shared = math.sqrt(0.8) * rng.normal(size=seeds)
    rows = {}
    for k, deviation in enumerate(deviations):
        row = shared + math.sqrt(0.2) * deviation * rng.normal(size=seeds) - gain * (k == 1)
        rows[str(k)] = dict(enumerate(row.tolist()))
    return rows


def test_interval_of_a_mean_is_students() -> None:
    """The interval of a mean equals SciPy's."""
    values = [0.31, 0.29, 0.35, 0.33, 0.30]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    found = estimate(values)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.n == 5


def test_paired_difference_is_the_paired_t_test() -> None:
    """The interval of a paired difference equals that of SciPy's paired t test."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=6), rng.normal(size=6)
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    found = paired(dict(enumerate(a)), dict(enumerate(b)))
    assert found.ci95 == pytest.approx([expected.low, expected.high])


def test_only_shared_seeds_are_paired() -> None:
    """A seed of only one stack does not contribute to their difference."""
    found = paired({0: 1.0, 1: 2.0, 7: 99.0}, {0: 0.5, 1: 1.5, 8: -99.0})
    assert found.n == 2
    assert found.mean == pytest.approx(0.5)


@pytest.mark.parametrize(("values", "n"), [([], 0), ([0.3], 1)])
def test_too_few_values_give_no_interval(values: list[float], n: int) -> None:
    """With at most one value there is no interval and no decision."""
    found = estimate(values)
    assert found.ci95 is None
    assert found.n == n
    assert verdict(found, 1.0) == "undecided"


def test_two_stacks_compare_as_the_paired_t_test_does() -> None:
    """With two stacks the pooled comparison equals the paired t interval."""
    rng = np.random.default_rng(1)
    table = made_up_table(rng, (1.0, 1.0))
    assert compare(table, "0")["1"].ci95 == pytest.approx(paired(table["1"], table["0"]).ci95)


def test_one_seed_compares_without_interval() -> None:
    """One seed gives differences but no intervals."""
    found = compare({"a": {0: 1.0}, "b": {0: 2.0}}, "a")
    assert found["b"].mean == 1.0
    assert found["b"].ci95 is None


def test_equal_losses_compare_as_exactly_equal() -> None:
    """Stacks without noise have an interval of width 0, and the report no division by 0."""
    found = compare({"a": {0: 1.0, 1: 1.0}, "b": {0: 1.0, 1: 1.0}}, "a")
    assert found["b"].ci95 == pytest.approx([0.0, 0.0])


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("deviations", "studies", "least", "most"),
    [
        ((1.0,) * 5, 600, 0.93, 0.98),  # four candidates and the baseline
        ((1.0,) * 2, 600, 0.93, 0.97),  # one candidate
        ((1.0, 6.0, 1.0, 1.0, 1.0), 200, 0.92, 1.0),  # one of them far noisier
    ],
)
def test_intervals_hold_together_and_luck_is_seldom_called_better(
    deviations: tuple[float, ...], studies: int, least: float, most: float
) -> None:
    """Over many studies without differences all intervals of a study hold in about 95 %.

    At most 5 % of the studies call a stack better.
    """
    rng = np.random.default_rng(7)
    held = better = 0
    for _ in range(studies):
        found = compare(made_up_table(rng, deviations), "0").values()
        held += all(
            e.low is not None and e.high is not None and e.low <= 0 <= e.high for e in found
        )
        better += any(verdict(e, 0.0) == "better" for e in found)
    assert least <= held / studies <= most
    assert better / studies <= 0.05


def test_a_planted_effect_is_found() -> None:
    """A gain of 1.5 seed deviations is called better in at least 80 % of 300 studies of 5 seeds and
    four stacks."""
    rng = np.random.default_rng(11)
    tables = [made_up_table(rng, (1.0,) * 5, gain=1.5) for _ in range(300)]
    found = sum(verdict(compare(t, "0")["1"], 0.0) == "better" for t in tables)
    assert found / 300 >= 0.8


def test_seed_deviation_pools_the_stacks_own_spreads() -> None:
    """The seed deviation measures runs around their own stack's mean."""
    table = {"a": {0: 1.0, 1: 3.0}, "b": {0: 11.0, 1: 13.0}}
    assert seed_deviation(table) == pytest.approx(math.sqrt(2.0))
    assert seed_deviation({"a": {0: 1.0}}) is None


def test_optimism_is_negative_when_the_search_flattered_itself() -> None:
    """A search loss below the confirmed one is a negative number of seed deviations."""
    assert optimism(0.30, 0.34, 0.02) == pytest.approx(-2.0)
    assert optimism(None, 0.34, 0.02) is None
    assert optimism(0.30, 0.34, None) is None


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (-0.3, -0.1, "better"),
        (0.1, 0.3, "worse"),
        (-0.9 * EQUIVALENCE_MARGIN, 0.9 * EQUIVALENCE_MARGIN, "equivalent"),
        (-1.1 * EQUIVALENCE_MARGIN, 0.0, "undecided"),
    ],
)
def test_verdict_follows_from_where_the_interval_lies(low: float, high: float, word: str) -> None:
    """Below 0: better; above: worse; within the margin: equivalent; else undecided."""
    assert verdict(Estimate((low + high) / 2, (low, high), 5), 1.0) == word


def test_turning_a_difference_round_keeps_its_interval_in_order() -> None:
    """Times -1 the ends change places, so that low stays below high."""
    assert Estimate(1.0, (0.5, 2.0), 3).scaled(-1.0).ci95 == (-2.0, -0.5)


def test_a_verdict_prints_and_serialises_as_its_text() -> None:
    """An f-string, a padded one, `str` and JSON give the plain word on every Python."""
    word = Verdict.NO_EVIDENCE
    assert (f"{word}", f"{word:>12}", str(word)) == ("no evidence", " no evidence", "no evidence")
    assert json.dumps({"word": word}) == '{"word": "no evidence"}'
    assert type(json_safe(word)) is str
