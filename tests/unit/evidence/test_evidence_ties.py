"""Coarse metrics: stacks and seeds that are equal to the last digit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.planted_study import finished_study
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.evidence.comparisons import compare

COARSE = st.sampled_from([0.0, 0.25, 0.5])


@settings(deadline=None)
@given(
    st.integers(2, 5).flatmap(
        lambda n: st.lists(st.lists(COARSE, min_size=n, max_size=n), min_size=2, max_size=5)
    )
)
def test_ties_leave_intervals_around_their_means(rows: list[list[float]]) -> None:
    """Losses of three levels, many of them equal, have finite intervals that hold their means."""
    table = {str(name): dict(enumerate(row)) for name, row in enumerate(rows)}
    for estimate in compare(table, "0").values():
        assert estimate.low <= estimate.mean <= estimate.high


@pytest.mark.parametrize("digits", [0, 1])
def test_a_study_of_ties_has_a_recommendation(digits: int) -> None:
    """A study whose figures are all equal, or nearly, recommends without calling any better."""
    spec, runs = finished_study()
    tied = [
        replace(run, value=None if run.value is None else round(run.value * 0.1, digits))
        for run in runs
    ]
    found = recommend(spec, tied, {})
    assert found.verdict != "better"
