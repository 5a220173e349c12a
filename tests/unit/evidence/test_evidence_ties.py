"""Coarse metrics: stacks and seeds that are equal to the last digit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.planted_study import finished_study
from tests.support.studies import DATA, spec_of
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.evidence.comparisons import compare, verdict
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.estimates import Verdict

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


ROWS = st.lists(st.lists(COARSE, min_size=4, max_size=4), min_size=2, max_size=5)


@settings(deadline=None)
@given(ROWS, st.floats(0.0, 0.5))
def test_an_interval_is_as_wide_as_the_resolution(
    rows: list[list[float]], resolution: float
) -> None:
    """It reaches at least as far to both sides, and is unchanged where it did already."""
    table = {str(name): dict(enumerate(row)) for name, row in enumerate(rows)}
    plain = compare(table, "0")
    for name, value in compare(table, "0", resolution=resolution).items():
        (low, high), mean = value.ci95, value.mean
        assert (mean, value.n) == (plain[name].mean, plain[name].n)
        assert low == min(plain[name].low, mean - resolution)
        assert high == max(plain[name].high, mean + resolution)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1_macro"])
def test_one_row_in_every_seed_is_not_certain(metric: str) -> None:
    """Of 16 validation rows one more right with each seed is undecided; two more are better."""
    deciding = Deciding.of(spec_of(data=replace(DATA, rows=101), metric=metric))
    for more, word in ((1, Verdict.UNDECIDED), (2, Verdict.BETTER)):
        one, other = (float(np.float32(1 - k / 16)) for k in (10 + more, 10))
        table = {"a": dict.fromkeys(range(5), one), "b": dict.fromkeys(range(5), other)}
        found = compare(table, "b", resolution=deciding.resolution)["a"]
        assert verdict(found, other) == word


def test_labels_are_counted_each() -> None:
    """The mean accuracy of four labels moves in steps of a quarter of a row."""
    data = replace(DATA, rows=100, classes=(), task="multilabel", target=tuple("abcd"))
    data = replace(data, labels=(("0", "1"),) * 4)
    found = Deciding.of(spec_of(data=data, metric="accuracy")).resolution
    assert found == pytest.approx(1 / (16 * 4), abs=1e-6)


@pytest.mark.parametrize("changes", [{}, {"metric": "roc_auc"}, {"metric": "brier"}])
def test_what_is_continuous_has_no_resolution(changes: dict[str, str]) -> None:
    """Intervals of losses and of metrics of probabilities stay as they are."""
    assert Deciding.of(spec_of(data=replace(DATA, rows=100), **changes)).resolution == 0.0
