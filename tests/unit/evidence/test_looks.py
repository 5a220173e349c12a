"""Intervals that hold together over all looks at growing evidence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from trainstack.search.evidence.looks import levels, looks, spent

RISK = 0.05


def test_one_look_has_the_whole_risk() -> None:
    """A single look is at the usual level."""
    assert levels((5,), (RISK,)) == pytest.approx((0.95,), abs=1e-9)


def test_bounds_of_pocock_and_of_obrien_and_fleming_are_reproduced() -> None:
    """Spending functions of Lan and DeMets give their published bounds for five equal looks.

    Reference: Jennison and Turnbull, "Group Sequential Methods", 2000, tables 2.1 and 2.3 have the
    exact Pocock bound 2.413 and O'Brien-Fleming's 2.040; the bounds of the Pocock-type spending
    function are 2.438, 2.427, 2.410, 2.397, 2.386 (Reboussin et al., 2000, program ld98).
    """
    ends = (1, 2, 3, 4, 5)
    risks = tuple(RISK * float(np.log(1 + (np.e - 1) * k / 5)) for k in ends)
    found = stats.norm.ppf(0.5 + np.array(levels(ends, risks)) / 2)
    assert found == pytest.approx([2.438, 2.427, 2.410, 2.397, 2.386], abs=2e-3)


def test_the_risk_over_all_looks_is_the_stated_one() -> None:
    """In a simulation without a difference some look is beyond its bound in 5 % of studies."""
    ends = looks(5, 30)
    risks = tuple(RISK * spent(n, 5, 30) for n in ends)
    bounds = stats.norm.ppf(0.5 + np.array(levels(ends, risks)) / 2)
    sums = np.random.default_rng(3).normal(size=(40_000, 30)).cumsum(axis=1)
    ratios = np.abs(np.stack([sums[:, n - 1] / np.sqrt(n) for n in ends], axis=1))
    assert np.mean((ratios > bounds).any(axis=1)) == pytest.approx(RISK, abs=0.004)
    assert np.mean((ratios > 1.96).any(axis=1)) > 2 * RISK


def test_looks_grow_and_end_at_the_most() -> None:
    """Looks begin at the first block, increase, and end at the most seeds."""
    for first, most in ((1, 2), (3, 3), (5, 6), (5, 100), (20, 21)):
        found = looks(first, most)
        assert (found[0], found[-1]) == (first, most)
        assert list(found) == sorted(set(found))


def test_spending_rises_to_all() -> None:
    """A third of the risk belongs to the first look, all of it to the last."""
    shares = [spent(n, 5, 30) for n in looks(5, 30)]
    assert (shares[0], shares[-1]) == (pytest.approx(1 / 3), 1.0)
    assert shares == sorted(shares)
