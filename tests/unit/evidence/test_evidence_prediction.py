"""Results of Monte-Carlo dropout and of dropping weights, in figures, text and a claim."""

from __future__ import annotations

from typing import Any

import pytest
from scipy import stats

from tests.support.measurements import SPARSITY, stochastic
from tests.support.planted_study import Planted, made_up_spec
from trainstack.search.claims.table import Context, claims
from trainstack.search.claims.types import Judgement
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.conclusion.text import text_of
from trainstack.search.evidence.estimates import Estimate
from trainstack.search.evidence.measured import Measured
from trainstack.search.evidence.prediction import (
    affordable,
    enough_passes,
    monte_carlo_gain,
    profile_note,
    sentences,
)
from trainstack.search.json_values import json_safe
from trainstack.spaces.references import CHAPTER_DEFAULT


def claim(part: dict[str, Any]) -> Judgement:
    """The row of the claim about Monte-Carlo dropout."""
    rows = claims(Context([], 0.3, measured=Measured.of(part)))
    return next(row.judgement for row in rows if row.id == "C17")


def test_the_gain_is_paired_by_model() -> None:
    """The gain's interval equals SciPy's for a paired t test of the same figures."""
    gains = [-0.03, -0.01, -0.02, -0.04, -0.02]
    value = monte_carlo_gain(Measured.of(stochastic(gains)), "log_loss")
    low, high = stats.ttest_1samp(gains, 0.0).confidence_interval(0.95)
    assert value.ci95 == pytest.approx([low, high])
    assert value.n == 5


@pytest.mark.parametrize(
    ("gains", "word"),
    [
        ([-0.03, -0.031, -0.029], "supported"),
        ([0.03, 0.031, 0.029], "contradicted"),
        ([-0.3, 0.3, 0.01], "no evidence"),
        ([-0.03], "no evidence"),
    ],
)
def test_the_claim_follows_the_figures(gains: list[float], word: str) -> None:
    """The claim is supported, contradicted or open as the seeds agree; one seed decides nothing."""
    assert claim(stochastic(gains)).word == word


def test_without_dropout_there_is_no_evidence() -> None:
    """A stack without dropout leaves the claim open and says nothing about passes."""
    assert claim({"log_loss": 0.3}).word == "no evidence"
    assert sentences(Measured(log_loss=0.3)) == []


def test_returns_diminish_in_words() -> None:
    """The fewest passes with nine tenths of the gain are named, if passes gain anything."""
    part = stochastic([-0.1, -0.1])
    last = f"{part['monte_carlo'][-1]['passes']:.0f}"
    assert enough_passes(part["monte_carlo"]) == 5
    assert (
        f"5 passes give nine tenths of what {last} win over one." in sentences(Measured.of(part))[0]
    )
    level = [{**row, "log_loss": 0.3} for row in part["monte_carlo"]]
    assert "nine tenths" not in sentences(Measured.of({**part, "monte_carlo": level}))[0]


def test_the_sparsest_affordable_row_is_reported() -> None:
    """The text about sparsity names the last threshold whose loss was affordable."""
    assert affordable(SPARSITY)["nonzero_fraction"] == 0.4
    (text,) = sentences(Measured(sparsity=SPARSITY, sparsity_test_loss=0.31))
    assert "40 % remain" in text
    assert "0.31" in text


def test_a_profile_reports_gain_and_cost() -> None:
    """The text gives the profile's figures, the default's, and the cost in loss."""
    mine, base = Measured(latency_ms=0.1, latency_ms_64=0.3), Measured(latency_ms=0.2)
    text = profile_note("low-latency", mine, base, Estimate(0.05, (0.04, 0.06), 5)) or ""
    assert "0.1 ms per row alone (chapter's default: 0.2)" in text
    assert "+0.05" in text
    sparse = profile_note("sparse", Measured(sparsity=SPARSITY), Measured(), Estimate(0.0)) or ""
    assert "0.4 of the weights kept" in sparse
    assert profile_note("default", mine, base, Estimate(0.05)) is None
    assert profile_note("low-latency", Measured(), Measured(), Estimate(0.05)) is None


def test_risk_is_judged_with_dropout_on_where_that_is_better() -> None:
    """The risk-sensitive note gives the better of one pass and many, by log loss."""
    better, worse = (Measured.of(stochastic(gains)) for gains in ([-0.1, -0.1], [0.1, 0.1]))
    assert "0.2 log loss" in (
        profile_note("risk-sensitive", better, Measured(), Estimate(0.0)) or ""
    )
    assert "0.3 log loss" in (
        profile_note("risk-sensitive", worse, Measured(), Estimate(0.0)) or ""
    )


def test_deployed_models_are_reported() -> None:
    """The text gives sizes and latencies by precision, and what could not be measured."""
    row = {"precision": "int8", "bytes": 11_000, "latency_ms": 0.0016, "loss": 0.15}
    (text,) = sentences(Measured(deployed=[row, {"precision": "float16", "cause": "no"}]))
    assert "int8 0.0016 ms, 11 kB, test loss 0.15" in text
    assert "float16 not measured (no)" in text


def test_the_recommendation_carries_what_was_measured() -> None:
    """Additional figures are in `measured` and, one per line, in the text."""
    spec = made_up_spec(space={"axes": {}}, trials=1)
    planted = Planted()
    runs = planted.confirm(spec, planted.search(spec, [CHAPTER_DEFAULT]))
    part = {"test": {"loss": [0.3]}, **stochastic([-0.1, -0.1]), "sparsity": SPARSITY}
    found = recommend(spec, runs, {"chosen": part})
    assert found.measured.sparsity == SPARSITY
    assert json_safe(found.measured)["latency_ms"] is None
    text = " ".join(text_of(found).split())
    assert "Monte-Carlo dropout with 10 passes" in text
    assert "40 % remain" in text
