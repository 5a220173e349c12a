"""A change that the ablations speak for is tested on fresh seeds before the conclusion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.planted_study import (
    EXPONENTIAL,
    LAST,
    Planted,
    finished_study,
    neighbours,
)
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.evidence.challenge import FIRST_INDEX
from trainstack.search.evidence.comparisons import paired
from trainstack.search.evidence.race import choice, next_runs
from trainstack.search.evidence.run_bounds import most_runs
from trainstack.search.records import CONFIRMATION, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT

# Clipping helps, but the search met it only with a harmful optimizer, so it is not in the race.
WORSE = CHAPTER_DEFAULT.but(clipping="norm", optimizer="sgd")
CLIPPED = LAST.but(clipping="norm")
EFFECTS: dict[str, dict[Any, float]] = {
    "dropout": {"last": -0.2},
    "clipping": {"norm": -0.1},
    "optimizer": {"sgd": 0.5},
}
CLEAR = Planted(EFFECTS, deviation=0.005)
STACKS = (CHAPTER_DEFAULT, LAST, EXPONENTIAL, *neighbours(8)[6:], WORSE)
SPACE = {"axes": {"clipping": {"none": {}, "norm": {}}}}
AMPLE: dict[str, Any] = {"most_replicates": 40, "confirm_seconds": 1e9, "space": SPACE}


def fresh(runs: list[Run]) -> list[Run]:
    """The runs of a challenge."""
    return [r for r in runs if r.phase == CONFIRMATION and r.seed_index >= FIRST_INDEX]


def test_a_better_variant_is_recommended_on_fresh_seeds_alone() -> None:
    """Score, difference and decision rest on five seeds that the nomination had not seen."""
    spec, runs = finished_study(CLEAR, STACKS, **AMPLE)
    found = recommend(spec, runs, {})
    assert found.stack == CLIPPED
    assert found.verdict == "better"
    assert "clipping norm instead of none, and 5 fresh seeds confirm it" in found.reasons[0]
    rows = {
        stack.stack_id: {r.seed_index: r.value or 0.0 for r in fresh(runs) if r.stack == stack}
        for stack in (CLIPPED, LAST, CHAPTER_DEFAULT)
    }
    assert {len(row) for row in rows.values()} == {5}
    against = paired(rows[CLIPPED.stack_id], rows[CHAPTER_DEFAULT.stack_id])
    assert (found.validation.loss.n, found.difference.n_pairs) == (5, 5)
    assert found.difference.mean == pytest.approx(against.mean)
    assert found.decision is not None
    assert found.decision.n_pairs == 5
    (effect,) = [e for e in found.effects if e.axis == "clipping"]
    gain = paired(rows[CLIPPED.stack_id], rows[LAST.stack_id])
    assert (effect.choice, effect.alternative, effect.word) == ("norm", "none", "better")
    assert effect.effect == pytest.approx(gain.mean)
    assert LAST.stack_id in {row.stack_id for row in found.runners_up}
    assert not any("speak for" in warning for warning in found.warnings)
    chosen = choice(spec, runs)
    assert chosen is not None
    assert chosen.seeds(5) == range(FIRST_INDEX, FIRST_INDEX + 5)


def test_a_default_that_is_beaten_on_fresh_seeds_is_beaten_in_the_verdict() -> None:
    """If the race chose the default, the challenge's interval is the verdict's."""
    effects: dict[str, dict[Any, float]] = {"clipping": {"norm": -0.1}, "optimizer": {"sgd": 0.5}}
    noisy = Planted({**effects, "batch_size": {64: 0.3}}, deviation=0.05)
    stacks = (CHAPTER_DEFAULT, CHAPTER_DEFAULT.but(batch_size=64), WORSE)
    spec, runs = finished_study(noisy, stacks, **AMPLE)
    chosen = choice(spec, runs)
    assert chosen is not None
    assert chosen.challenge is not None
    assert chosen.challenge.beaten == CHAPTER_DEFAULT
    assert chosen.stack == CHAPTER_DEFAULT.but(clipping="norm")
    found, gain = recommend(spec, runs, {}), chosen.challenge.difference
    assert gain is not None
    assert found.difference.ci95 == gain.ci95
    assert found.verdict == "better"
    assert found.decision is not None
    assert found.decision.n_pairs == 5


def test_a_lucky_variant_stays_out() -> None:
    """If the fresh seeds do not show it better, the race's choice stands, with its own figures."""
    spec, runs = finished_study(CLEAR, STACKS, **AMPLE)
    without = [r for r in runs if r not in fresh(runs)]
    usual = {r.seed_index: r.value or 0.0 for r in fresh(runs) if r.stack == LAST}
    unlucky = [
        replace(r, value=usual[r.seed_index] + (0.01 if r.seed_index % 2 else -0.01))
        if r.stack == CLIPPED
        else r
        for r in fresh(runs)
    ]
    found = recommend(spec, [*without, *unlucky], {})
    assert found.stack == LAST
    assert "5 fresh seeds did not confirm it" in found.reasons[-1]
    assert not any("speak for" in warning for warning in found.warnings)
    before = recommend(replace(spec, most_replicates=5), without, {})
    assert found.validation == before.validation
    assert found.difference.mean == before.difference.mean


def test_runs_are_planned_once_and_in_their_order() -> None:
    """Race, ablations, then the challenge: fifteen runs; a stopped one changes nothing."""
    spec, runs = finished_study(CLEAR, STACKS, **AMPLE)
    assert next_runs(spec, runs) == []
    assert [r for r in runs if r in fresh(runs)] == runs[-15:]
    assert sum(r.phase == CONFIRMATION for r in runs) <= most_runs(spec)
    cut = recommend(spec, runs[:-1], {})
    assert cut.stack == LAST
    assert any("speak for clipping norm" in warning for warning in cut.warnings)
    assert [(p.stack, p.seed_index) for p in next_runs(spec, runs[:-1])] == [
        (runs[-1].stack, runs[-1].seed_index)
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"most_replicates": 5},
        {"confirm_seconds": 1e-3},
        {"profile": "low-latency"},
        {"simplicity": 1.0},
        {"constraints": ("parameters<=1",)},
    ],
)
def test_a_choice_that_rests_on_more_is_not_challenged(changes: dict[str, Any]) -> None:
    """Neither without seeds or time for it, nor where more than the loss decides."""
    _, runs = finished_study(CLEAR, STACKS, **{**AMPLE, **changes})
    assert fresh(runs) == []


@pytest.mark.thorough
def test_without_an_effect_nothing_is_challenged_or_lost() -> None:
    """Where no choice matters, at most one study in twenty has a challenge, and none is won."""
    challenges = won = 0
    for world in range(20):
        even = Planted(shared=0.5, world=world)
        spec, runs = finished_study(even, STACKS, seed=world, **AMPLE)
        challenges += bool(fresh(runs))
        won += _won(spec, runs)
    assert challenges <= 3
    assert won == 0


def _won(spec: StudySpec, runs: list[Run]) -> bool:
    chosen = choice(spec, runs)
    return chosen is not None and chosen.challenge is not None and chosen.challenge.won
