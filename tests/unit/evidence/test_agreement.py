"""The test set beside the verdict."""

from __future__ import annotations

from typing import Any

import pytest
from scipy import stats

from tests.support.planted_study import BETTER, finished_study
from trainstack.search.conclusion.agreement import difference_on_test, disagreement
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.conclusion.text import text_of
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.estimates import Difference, Verdict

HIGHER, LOWER = [0.32, 0.35, 0.31], [0.30, 0.31, 0.30]


def measured(mine: list[float], base: list[float]) -> dict[str, Any]:
    """A measurement with these test losses."""
    return {"chosen": {"test": {"loss": mine}}, "baseline": {"test": {"loss": base}}}


def test_the_difference_is_students_over_paired_seeds() -> None:
    """Mean and interval are those of SciPy's paired t test."""
    document = measured(HIGHER, LOWER)
    found = difference_on_test(document["chosen"], document["baseline"], Deciding())
    reference = stats.ttest_rel(HIGHER, LOWER).confidence_interval(0.95)  # type: ignore[union-attr]
    assert found.ci95 == pytest.approx((reference.low, reference.high))
    assert found.n == 3


def test_a_metric_that_rises_is_turned_round() -> None:
    """A higher accuracy is a lower objective."""
    parts = ({"test": {"accuracy": [0.9, 0.92]}}, {"test": {"accuracy": [0.8, 0.8]}})
    found = difference_on_test(*parts, Deciding("accuracy", "accuracy", rises=True))
    assert found.mean == pytest.approx(-0.11)


def test_a_verdict_that_the_test_rows_contradict_is_a_caveat() -> None:
    """`better` by validation and higher on the test rows is said, with the interval."""
    spec, runs = finished_study(BETTER)
    found = recommend(spec, runs, measured(HIGHER, LOWER))
    assert found.verdict is Verdict.BETTER
    assert found.difference_on_test.mean == pytest.approx(0.0233, abs=1e-3)
    assert any("do not confirm the verdict `better`" in text for text in found.warnings)
    assert "difference in test loss" in text_of(found)


def test_agreement_and_absence_are_no_caveat() -> None:
    """Nothing is said if the test rows agree, or if they were not measured for both stacks."""
    spec, runs = finished_study(BETTER)
    for document in (measured(LOWER, HIGHER), measured(LOWER, HIGHER[:2]), {}):
        found = recommend(spec, runs, document)
        assert not any("the verdict" in text for text in found.warnings)


def test_a_clear_contradiction_is_called_one() -> None:
    """If the interval over the seeds excludes 0 the rows disagree, on either side."""
    above, below = (
        Difference("loss", 0.1, (0.05, 0.15), 5),
        Difference("loss", -0.1, (-0.2, -0.05), 5),
    )
    assert "disagree with" in disagreement(Verdict.BETTER, above)[0]
    assert "disagree with" in disagreement(Verdict.WORSE, below)[0]
    assert disagreement(Verdict.BETTER, below) == disagreement(Verdict.UNDECIDED, above) == []
