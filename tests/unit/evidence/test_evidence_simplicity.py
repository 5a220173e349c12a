"""A profile's minimized figure decides first between stacks that cannot be distinguished."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.planted_study import Planted, made_up_spec
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.evidence.constraints import FIGURES
from trainstack.search.evidence.race import choice
from trainstack.search.evidence.simplicity import SPARED
from trainstack.search.records import CONFIRMATION, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.profiles import PROFILES
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.stack import Stack

SMALL = CHAPTER_DEFAULT.but(units=[50], optimizer="adam")
LARGE = CHAPTER_DEFAULT.but(units=[500, 500])
MS = {SMALL: 0.05, LARGE: 0.4, CHAPTER_DEFAULT: 0.2}
# Smaller networks keep larger parts: 3,760, 27,000 and 25,450 weights are not zero.
KEPT = {SMALL: 1.0, LARGE: 0.09, CHAPTER_DEFAULT: 0.5}


def measured(profile: str, planted: Planted, only: str = "") -> tuple[StudySpec, list[Run]]:
    """A confirmed study of the three stacks, whose confirmation runs have measured costs."""
    spec = made_up_spec(space={"axes": {}}, trials=3, profile=profile)
    runs = planted.confirm(spec, planted.search(spec, [SMALL, LARGE, CHAPTER_DEFAULT]))
    figures = {"latency_ms": MS, "nonzero_fraction": KEPT}
    return spec, [
        replace(
            run,
            metrics={
                **run.metrics,
                **{f: of[run.stack] for f, of in figures.items() if run.stack and f != only},
            },
        )
        if run.phase == CONFIRMATION
        else run
        for run in runs
    ]


def chosen(spec: StudySpec, runs: list[Run]) -> Stack:
    """The recommended stack."""
    found = choice(spec, runs)
    assert found is not None
    return found.stack


@pytest.mark.parametrize(
    ("profile", "stack", "reason"),
    [
        ("default", CHAPTER_DEFAULT, "simplest"),
        ("low-latency", SMALL, "answers quickest (0.05 ms per row)"),
        ("sparse", SMALL, "keeps the fewest weights that are not zero"),
    ],
)
def test_the_profile_decides_between_equals(profile: str, stack: Stack, reason: str) -> None:
    """Of equally good stacks the default profile chooses the chapter's default, other profiles the
    lowest cost, and the reasons state this."""
    spec, runs = measured(profile, Planted())
    assert chosen(spec, runs) == stack
    assert reason in " ".join(recommend(spec, runs, {}).reasons)


def test_what_is_spared_never_outweighs_a_difference() -> None:
    """A fast stack shown to be worse than the best is not chosen."""
    planted = Planted({"units": {(50,): 0.3, (500, 500): -0.2}}, deviation=0.001)
    assert chosen(*measured("low-latency", planted)) == LARGE


def test_an_unmeasured_cost_decides_nothing() -> None:
    """If no run has the figure, departures decide, as in the default profile."""
    assert chosen(*measured("low-latency", Planted(), only="latency_ms")) == CHAPTER_DEFAULT


def test_nearly_equal_costs_decide_nothing() -> None:
    """Latencies within a few percent count as equal; the fewer departures win."""
    spec, runs = measured("low-latency", Planted())
    runs = [
        replace(run, metrics={**run.metrics, "latency_ms": 0.2 if run.stack == SMALL else 0.201})
        for run in runs
    ]
    assert chosen(spec, runs) == CHAPTER_DEFAULT


def test_every_profile_spares_what_a_run_can_measure() -> None:
    """Each profile's minimized figure can be constrained, and has its sentence."""
    spared = {p.spares for p in PROFILES.values() if p.spares}
    assert spared == set(SPARED)
    assert spared <= set(FIGURES)
