"""Split-conformal intervals hold new targets as often as stated."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainstack.search.metrics.conformal import MOST_KEPT, Residuals, check_coverage
from trainstack.spaces.errors import RequestError


@given(
    errors=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    coverage=st.floats(0.05, 0.95),
)
@settings(deadline=None)
def test_the_width_is_the_order_statistic(errors: list[float], coverage: float) -> None:
    """With few rows the half width is the ceil((n + 1) c)-th smallest error, or it is refused."""
    found = Residuals.of(np.array(errors), np.zeros(len(errors)))
    wanted = math.ceil((len(errors) + 1) * coverage - 1e-9)
    if wanted > len(errors):
        with pytest.raises(RequestError, match="validation rows"):
            found.interval(np.zeros(1), coverage)
        return
    low, high = found.interval(np.array([5.0]), coverage)
    width = sorted(map(abs, errors))[wanted - 1]
    assert (low[0], high[0]) == (5.0 - width, 5.0 + width)


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_new_rows_are_covered_as_often_as_asked(coverage: float, logarithmic: bool) -> None:
    """With planted noise the coverage of 20,000 new rows is within 2 points of what is asked."""
    rng = np.random.default_rng(3)
    p = rng.uniform(1, 9, (25_000, 2))
    noise = rng.standard_t(4, p.shape) * [0.2, 0.5]
    y = p * np.exp(noise) if logarithmic else p + noise
    found = Residuals.of(y[:5000], p[:5000], logarithmic)
    low, high = found.interval(p[5000:], coverage)
    covered = ((low <= y[5000:]) & (y[5000:] <= high)).mean(axis=0)
    np.testing.assert_allclose(covered, coverage, atol=0.02)
    assert (low > 0).all() or not logarithmic


def test_many_rows_keep_few_errors_and_never_narrower_intervals() -> None:
    """Of 12,345 errors 1000 are kept, and the width is that of the next greater kept rank."""
    errors = np.sort(np.random.default_rng(0).exponential(size=12_345))
    found = Residuals.of(errors, np.zeros(len(errors)))
    assert len(found.ranks) == MOST_KEPT
    for coverage in (0.5, 0.9, 0.999):
        exact = errors[math.ceil((len(errors) + 1) * coverage) - 1]
        _, high = found.interval(np.zeros(1), coverage)
        above = errors[math.ceil((len(errors) + 1) * (coverage + 0.0011)) - 1 :]
        assert exact <= high[0] <= (above[0] if len(above) else errors[-1])


def test_a_document_is_read_back() -> None:
    """What is stored in the model's file gives equal residuals."""
    found = Residuals.of(np.arange(6.0).reshape(3, 2), np.zeros((3, 2)))
    assert Residuals.from_json(json.loads(json.dumps(dataclasses.asdict(found)))) == found


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1.0, 90.0, math.nan])
def test_a_coverage_is_a_share(coverage: float) -> None:
    """A coverage that is not above 0 and below 1 is refused."""
    with pytest.raises(RequestError, match="--interval"):
        check_coverage(coverage)


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_mean_errs_less_than_its_networks(logarithmic: bool) -> None:
    """Errors of single networks are scaled to those that the mean of five has on new rows."""
    rng, count = np.random.default_rng(0), 20_000
    noise = rng.normal(size=count)
    alone, several = 0.7 * rng.normal(size=count), 0.7 * rng.normal(size=(5, count))
    of = np.exp if logarithmic else np.asarray
    found = Residuals.of(of(noise), of(alone), logarithmic).of_mean(of(several))
    truth = np.sort(np.abs(noise - several.mean(axis=0)))
    for level in (0.5, 0.8, 0.9, 0.95):
        low, high = found.interval(of(np.zeros(1)), level)
        half = np.log(high / low) / 2 if logarithmic else (high - low) / 2
        assert half[0] == pytest.approx(truth[int(level * count)], rel=0.03)


def test_a_mean_errs_no_less_than_independent_networks_could() -> None:
    """Whatever their predictions, the errors of K networks shrink by the root of K at most."""
    errors = Residuals.of(np.zeros(50), np.ones(50))
    wild = np.random.default_rng(1).normal(size=(4, 30)) * 1e6
    assert set(errors.of_mean(wild).sizes[0]) == {0.5}


def test_equal_networks_have_the_errors_of_one() -> None:
    """A mean of networks that agree keeps the errors, for each of several targets."""
    rng = np.random.default_rng(2)
    errors = Residuals.of(rng.normal(size=(40, 2)), rng.normal(size=(40, 2)))
    same = np.repeat(rng.normal(size=(1, 30, 2)), 3, axis=0)
    assert errors.of_mean(same) == errors
