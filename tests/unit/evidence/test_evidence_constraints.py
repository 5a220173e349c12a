"""Constraints: parsing, and their effect on candidates, race and choice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.planted_study import Planted, made_up_spec
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.evidence.candidates import candidates
from trainstack.search.evidence.constraints import FIGURES, read, violation
from trainstack.search.evidence.race import choice, race
from trainstack.search.records import CONFIRMATION, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.stack import Stack

SMALL, LARGE = CHAPTER_DEFAULT.but(units=[50]), CHAPTER_DEFAULT.but(units=[500, 500])
# The larger, the better.
PLANTED = Planted({"units": {(50,): 0.1, (500, 500): -0.2}}, deviation=0.001)


def finished(*constraints: str, stacks: tuple[Stack, ...] = (SMALL, LARGE, CHAPTER_DEFAULT)):
    """A study of these stacks under constraints, searched and confirmed."""
    spec = made_up_spec(space={"axes": {}}, trials=len(stacks), constraints=constraints)
    return spec, PLANTED.confirm(spec, PLANTED.search(spec, list(stacks)))


def chosen(spec: StudySpec, runs: list[Run]) -> Stack:
    """The recommended stack."""
    found = choice(spec, runs)
    assert found is not None
    return found.stack


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("sign", ["<=", ">="])
def test_constraints_are_read_and_written_back(figure: str, sign: str) -> None:
    """Every figure may be bounded from either side, with or without spaces."""
    assert str(read(f" {figure} {sign} 0.25 ")) == f"{figure}{sign}0.25"


@pytest.mark.parametrize(
    "text",
    [
        *("", "latency_ms", "latency_ms<1", "latency_ms<=", "latency<=1", "parameters<=-3"),
        *("parameters<=0", "parameters<=1e999", "parameters<=1.2.3", "parameters<=10k"),
        "1>=latency_ms",
    ],
)
def test_what_is_no_constraint_is_refused(text: str) -> None:
    """Only bounds above 0 on known figures are accepted; others are refused in one line."""
    with pytest.raises(RequestError) as refused:
        read(text)
    assert repr(text) in str(refused.value)


def test_violations_are_relative_and_positive_when_broken() -> None:
    """Twice the bound violates it by 1, half of it satisfies it, an unknown figure does neither."""
    bound = read("latency_ms<=2")
    assert bound.violation({"latency_ms": 4.0}) == pytest.approx(1.0)
    assert (bound.violation({"latency_ms": 1.0}) or 0.0) < 0.0
    assert bound.violation({"parameters": 4.0}) is None
    assert read("nonzero_fraction>=0.5").violation({"nonzero_fraction": 0.25}) == 0.5


def test_without_a_constraint_the_best_is_chosen() -> None:
    """Without a constraint the large network is chosen, as a reference for the other tests."""
    assert chosen(*finished()) == LARGE


def test_what_breaks_a_constraint_is_not_even_confirmed() -> None:
    """A stack that the search measured as too large is no candidate."""
    spec, runs = finished("parameters<=100000")
    assert LARGE not in [c.stack for c in candidates(spec, runs)]
    assert chosen(spec, runs) == CHAPTER_DEFAULT


def test_a_failed_trial_does_not_hide_what_another_of_its_stack_measured() -> None:
    """A trial without figures does not let its stack pass for one that keeps the constraint."""
    spec, runs = finished("parameters<=100000")
    large = next(r for r in runs if r.stack == LARGE)
    failed = replace(large, number=90, outcome="failed", value=None, metrics={})
    assert LARGE not in [c.stack for c in candidates(spec, [*runs, failed])]


def test_a_pruned_stack_is_confirmed_where_it_alone_keeps_a_constraint() -> None:
    """A pruned stack is recommended if all trials ahead of it violate the constraint."""
    spec, runs = finished("parameters<=10000")
    searched = [r for r in runs if r.phase != CONFIRMATION]
    pruned = [replace(r, outcome="pruned") if r.stack == SMALL else r for r in searched]
    assert [c.stack for c in candidates(spec, pruned)] == [SMALL, CHAPTER_DEFAULT]
    assert chosen(spec, PLANTED.confirm(spec, pruned)) == SMALL
    assert recommend(spec, PLANTED.confirm(spec, pruned), {}).stack == SMALL
    loose, _ = finished("parameters<=1e9")
    assert SMALL not in [c.stack for c in candidates(loose, pruned)]


def test_a_default_that_breaks_a_constraint_is_not_chosen() -> None:
    """The default remains the comparison, but a worse stack within the bound is recommended, with
    all its seeds and the stated cost."""
    spec, runs = finished("parameters<=10000")
    assert chosen(spec, runs) == SMALL
    assert sum(r.phase == CONFIRMATION and r.stack == SMALL for r in runs) == spec.replicates
    found = recommend(spec, runs, {})
    assert found.verdict == "worse"
    assert found.difference.mean == pytest.approx(0.1, abs=0.01)
    assert "parameters<=10000" in found.reasons[0]


def test_figures_of_the_confirmation_bind_too() -> None:
    """A stack whose confirmation runs are too slow leaves the race and is not chosen."""
    spec, runs = finished("latency_ms<=1")
    slow = {LARGE: 3.0}
    runs = [
        replace(r, metrics={**r.metrics, "latency_ms": slow.get(r.stack, 0.5)})
        if r.phase == CONFIRMATION and r.stack
        else r
        for r in runs
    ]
    assert chosen(spec, runs) == CHAPTER_DEFAULT
    assert "latency_ms<=1" in race(spec, runs).out[LARGE.stack_id]


def test_when_nothing_keeps_a_constraint_the_nearest_is_chosen() -> None:
    """If all stacks violate it, the one with the least violation is recommended, with a warning."""
    spec, runs = finished("parameters<=10")
    assert chosen(spec, runs) == SMALL
    found = recommend(spec, runs, {})
    assert found.reasons[0].startswith("All 3 stacks confirmed break parameters<=10")
    assert "and were not chosen from" not in " ".join(found.reasons)
    assert any("No confirmed stack keeps" in w for w in found.warnings)


@pytest.mark.parametrize("seed", [0, 4])
def test_the_only_one_that_keeps_a_constraint_may_fail(seed: int) -> None:
    """If it leaves the race by a run that diverged, the nearest of the others is recommended."""
    spec, runs = finished("parameters<=10000")
    runs = [
        replace(r, outcome="diverged", value=None)
        if r.phase == CONFIRMATION and r.stack == SMALL and r.seed_index == seed
        else r
        for r in runs
    ]
    found = recommend(spec, runs, {})
    assert SMALL.stack_id in found.choice.out
    assert found.stack == CHAPTER_DEFAULT
    assert found.reasons[0] == (
        "No stack that finished its runs keeps parameters<=10000; this breaks it least."
    )


def test_when_some_keep_a_constraint_the_others_are_counted() -> None:
    """The reasons count the confirmed stacks that violate a bound satisfied by others."""
    spec, runs = finished("parameters<=10000")
    assert recommend(spec, runs, {}).reasons[0] == (
        "1 of the 2 stacks confirmed breaks parameters<=10000 and was not chosen from."
    )


def test_an_unmeasured_figure_is_reported() -> None:
    """A bound on an unmeasured figure excludes no stack and gives a warning."""
    spec, runs = finished("latency_ms<=1")
    assert chosen(spec, runs) == LARGE
    assert any("was not measured" in w for w in recommend(spec, runs, {}).warnings)


def test_several_constraints_all_bind() -> None:
    """Violations add up over constraints."""
    bounds = (read("parameters<=10"), read("latency_ms<=1"))
    run = Run("search", 0, None, None, 0, metrics={"parameters": 20.0, "latency_ms": 4.0})
    assert violation(bounds, [run]) == pytest.approx(1.0 + 3.0)
