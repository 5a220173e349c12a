"""Critical values of simultaneous intervals, compared with SciPy and a published table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from trainstack.search.evidence.intervals import critical_t

# Dunnett, "New tables for multiple comparisons with a control", 1964: two-sided, 95 %.
DUNNETT = {(20, 1): 2.09, (20, 2): 2.38, (20, 4): 2.65, (20, 8): 2.90, (10, 3): 2.76, (5, 2): 3.03}


@pytest.mark.parametrize(("freedom", "comparisons"), DUNNETT)
def test_several_against_one_are_dunnetts(freedom: int, comparisons: int) -> None:
    """With a correlation of one half the values are those of Dunnett's table."""
    found = critical_t(freedom, comparisons=comparisons, correlation=0.5)
    assert found == pytest.approx(DUNNETT[freedom, comparisons], abs=0.006)


@pytest.mark.parametrize(
    ("freedom", "comparisons", "correlation"), [(2, 2, 0.5), (8, 4, 0.0), (32, 8, 0.3)]
)
def test_the_chance_that_all_hold_is_the_level(
    freedom: int, comparisons: int, correlation: float
) -> None:
    """SciPy's multivariate t lies within the value on all sides with the level's probability."""
    t = critical_t(freedom, 0.9, comparisons, correlation)
    shape: Any = np.full((comparisons, comparisons), correlation)
    np.fill_diagonal(shape, 1.0)
    ends = np.full(comparisons, t)
    held = stats.multivariate_t.cdf(
        ends, np.zeros(comparisons), shape, freedom, lower_limit=-ends, random_state=1
    )
    assert held == pytest.approx(0.9, abs=2e-3)


def test_without_a_common_spread_the_correction_is_dunns() -> None:
    """Without a correlation each of m intervals holds at 1 - 0.05 / m."""
    assert critical_t(4, comparisons=4) == pytest.approx(stats.t.ppf(1 - 0.05 / 8, 4))
    assert critical_t(4, comparisons=1, correlation=0.5) == pytest.approx(stats.t.ppf(0.975, 4))


def test_what_comparisons_share_narrows_their_intervals() -> None:
    """The higher the correlation of contrasts, the narrower their intervals."""
    shared = [critical_t(16, comparisons=4, correlation=r) for r in (None, 0.0, 0.3, 0.5, 0.9)]
    assert shared == sorted(shared, reverse=True)
    assert len(set(shared)) == 5
    assert shared[-1] > critical_t(16)
