"""Effects pooled over data sets, against another implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainstack.search.evidence.pooling import pooled

EFFECTS = [-0.10, 0.02, -0.05, -0.20, -0.01]
VARIANCES = [0.001, 0.002, 0.0005, 0.004, 0.001]


def test_the_mean_and_interval_are_those_of_statsmodels() -> None:
    """The numbers are `combine_effects(…, method_re="iterated", use_t=True)` of statsmodels 0.15.0.

    The correction of Hartung and Knapp is 1 here, so that both of its intervals agree.
    """
    found = pooled(EFFECTS, VARIANCES)
    assert found.mean == pytest.approx(-0.060501533389253, rel=1e-6)
    assert found.deviation == pytest.approx(0.03490158831738073, rel=1e-6)
    assert found.ci95 == pytest.approx((-0.15740388, 0.03640081), abs=1e-6)
    assert found.n == 5


def test_effects_that_agree_have_the_interval_of_their_own_variances() -> None:
    """Four equal effects of variance 0.001 have a standard error of sqrt(0.001 / 4)."""
    found = pooled([-0.1, -0.1, -0.1001, -0.0999], [0.001] * 4)
    assert found.deviation == pytest.approx(math.sqrt(0.001 / 4), rel=1e-9)
    assert found.ci95 == pytest.approx(
        (-0.1 - 3.182446 * 0.0158114, -0.1 + 3.182446 * 0.0158114), abs=1e-6
    )


def test_one_data_set_has_no_interval_and_none_no_mean() -> None:
    """The unit is the data set."""
    assert pooled([0.5], [0.1]).ci95 is None
    assert math.isnan(pooled([], []).mean)


def test_more_comparisons_widen_the_interval() -> None:
    """Intervals that hold together are wider."""
    one, three = pooled(EFFECTS, VARIANCES), pooled(EFFECTS, VARIANCES, comparisons=3)
    assert one.low is not None
    assert three.low is not None
    assert three.low < one.low
    assert three.mean == one.mean


numbers = st.lists(st.tuples(st.floats(-10, 10), st.floats(1e-6, 10)), min_size=2, max_size=12)


@given(numbers, st.floats(-100, 100))
def test_a_shift_of_all_effects_shifts_the_mean(rows: list[tuple[float, float]], by: float) -> None:
    """The mean lies between the effects and moves with them; order does not matter."""
    effects, variances = [e for e, _ in rows], [v for _, v in rows]
    found = pooled(effects, variances)
    assert min(effects) - 1e-9 <= found.mean <= max(effects) + 1e-9
    moved = pooled([e + by for e in reversed(effects)], variances[::-1])
    assert moved.mean == pytest.approx(found.mean + by, abs=1e-6)
    assert moved.deviation == pytest.approx(found.deviation, rel=1e-4)


def test_the_interval_holds_what_it_says() -> None:
    """With spread between and noise within eight data sets, 95 % of intervals hold the truth."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(2000):
        variances = rng.uniform(0.5, 2.0, 8)
        effects = 0.3 + rng.normal(0, 1, 8) + rng.normal(0, np.sqrt(variances))
        low, high = pooled(effects, variances).ci95 or (0.0, 0.0)
        held += low <= 0.3 <= high
    assert 0.93 <= held / 2000 <= 0.985
