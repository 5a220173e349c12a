"""Every ending of a study has a correct conclusion, without a traceback."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.planted_study import Planted, made_up_spec, neighbours
from trainstack.search.conclusion.recommendation import Recommendation, recommend
from trainstack.search.conclusion.text import text_of
from trainstack.search.json_values import json_safe
from trainstack.search.records import CONFIRMATION, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import NothingToRecommend
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES
from trainstack.spaces.stack import Stack

BN = REFERENCES["relu-he-bn-adam"]
SELF_NORMALIZING = (CHAPTER_DEFAULT, *neighbours(4))


def concluded(
    planted: Planted, stacks: tuple[Stack, ...], broken: tuple[Stack, ...] = ()
) -> tuple[StudySpec, list[Run]]:
    """A study of these stacks, searched and confirmed; stacks in `broken` diverge."""
    planted = replace(planted, diverge=frozenset(s.stack_id for s in broken))
    spec = made_up_spec(space={"axes": {}}, trials=len(stacks))
    return spec, planted.confirm(spec, planted.search(spec, stacks))


def recommendation_of(spec: StudySpec, runs: list[Run]) -> Recommendation:
    """The recommendation, after checking that it can be printed and written as strict JSON."""
    found = recommend(spec, runs, {})
    json.dumps(json_safe(found), allow_nan=False)
    assert text_of(found)
    return found


def test_one_finished_trial_that_is_the_default() -> None:
    """If only the default finished it is recommended, without a claim about others."""
    found = recommendation_of(*concluded(Planted(), (CHAPTER_DEFAULT, BN), broken=(BN,)))
    assert found.stack == CHAPTER_DEFAULT
    assert found.verdict == "equivalent"
    assert "Nothing else finished" in found.sentence
    assert {row.word for row in found.effects} == {"no evidence"}


def test_one_finished_trial_that_is_another() -> None:
    """A single other finished trial is compared with the default, which is confirmed beside it."""
    found = recommendation_of(*concluded(Planted(effects={"activation": {"relu": 0.3}}), (BN,)))
    assert found.stack == CHAPTER_DEFAULT
    assert "the other stack" in found.sentence


@pytest.mark.parametrize(("stacks", "message"), [((), "no trials"), ((BN,), "1 diverged")])
def test_no_finished_trial(stacks: tuple[Stack, ...], message: str) -> None:
    """Without trials, or if all diverged, one line states it and there is no recommendation."""
    spec, runs = concluded(Planted(), stacks, broken=stacks)
    with pytest.raises(NothingToRecommend, match=message):
        recommend(spec, runs, {})


def test_a_default_that_alone_diverges() -> None:
    """If the default cannot be trained, the others are recommended without a verdict."""
    found = recommendation_of(*concluded(Planted(), SELF_NORMALIZING, broken=(CHAPTER_DEFAULT,)))
    assert found.stack != CHAPTER_DEFAULT
    assert found.verdict == "undecided"
    assert "no run to compare" in found.sentence


def test_a_single_class_of_stacks() -> None:
    """A search that saw one family alone compares within it; the rest is `no evidence`."""
    found = recommendation_of(*concluded(Planted({"dropout": {"last": -0.2}}), SELF_NORMALIZING))
    assert {r.stack.family for r in found.runners_up} == {"self-normalizing"}
    assert found.verdict == "better"
    words = {row.axis: row.word for row in found.effects}
    assert words["dropout"] == "better"
    assert words["normalization"] == words["activation"] == "no evidence"


@pytest.mark.parametrize("kept", [0, 1, 2, 4, 7])
def test_interrupted_in_the_confirmation(kept: int) -> None:
    """After any number of runs a stack is recommended, and no verdict lacks an interval."""
    spec, runs = concluded(Planted({"dropout": {"last": -0.2}}), SELF_NORMALIZING)
    search = [run for run in runs if run.phase != CONFIRMATION]
    found = recommendation_of(spec, runs[: len(search) + kept])
    if found.difference.ci95 is None:
        assert found.verdict == "undecided"
    assert any("confirmed" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("deviation", "word", "reason"),
    [(0.001, "supported", "by more than the margin"), (0.2, "no evidence", "may be better")],
)
def test_the_default_is_good_only_where_that_is_shown(
    deviation: float, word: str, reason: str
) -> None:
    """Stacks as good as the default support C23, but not noise that may hide a better one."""
    spec = made_up_spec(space={"axes": {}}, trials=5)
    planted = Planted(deviation=deviation, shared=0.0)
    runs = planted.confirm(spec, planted.search(spec, [CHAPTER_DEFAULT, *neighbours(4)]))
    row = next(r.judgement for r in recommend(spec, runs, {}).claims if r.id == "C23")
    assert row.word == word
    assert reason in row.reason
    assert row.ci95 is not None
    assert row.ci95[0] < row.ci95[1]


def test_intervals_stay_within_possible_values() -> None:
    """Intervals of accuracies near 1 and losses near 0 end at these bounds."""
    spec = made_up_spec(space={"axes": {}}, trials=5)
    planted = Planted(base=0.05, deviation=0.04)
    runs = planted.confirm(spec, planted.search(spec, [CHAPTER_DEFAULT, *neighbours(4)]))
    measured = {"chosen": {"test": {"loss": [0.02, 0.001, 0.05], "accuracy": [1.0, 0.97, 1.0]}}}
    found = recommend(spec, runs, measured)
    assert found.test.metric.high == 1.0
    assert found.test.loss.low == 0.0
    assert "0.99 (0.947 to 1) (n = 3)" in text_of(found)
