"""Further seeds: only for what is open, until it is decided, hopeless, too dear, or at the most."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.support.planted_study import (
    ADAM,
    BETTER,
    LAST,
    NEIGHBOURS,
    Planted,
    finished_study,
    made_up_spec,
)
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.evidence import extension
from trainstack.search.evidence.candidates import confirmed, losses
from trainstack.search.evidence.comparisons import LEVEL, compare
from trainstack.search.evidence.extension import FIRST_LEVEL, closing_level, ends_of, levels_of
from trainstack.search.evidence.race import choice, next_runs, race
from trainstack.search.records import CONFIRMATION, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT

AMPLE = {"most_replicates": 40, "confirm_seconds": 1e9}
# One deviation better; at shared 0.2 five seeds find it in a fifth of all studies.
LAST_COSINE = LAST.but(schedule="cosine")
SMALL = Planted({"dropout": {"last": -0.02}}, deviation=0.02, shared=0.2)


def seeds_of(runs: list[Run]) -> Counter[str]:
    """Number of confirmation seeds of each stack."""
    return Counter(str(r.stack_id) for r in runs if r.phase == CONFIRMATION)


def test_a_decided_study_gets_no_further_seeds() -> None:
    """A clear gain is decided by the first block, whatever is allowed."""
    _, runs = finished_study(BETTER, **AMPLE)
    assert set(seeds_of(runs).values()) <= {3, 4, 5}


def test_an_open_gain_is_decided_by_more_seeds_of_the_leading_stacks() -> None:
    """One deviation, open after five seeds, becomes `better` with more seeds; others keep five."""
    decided = 0
    for seed in (1, 3):
        short = recommend(*finished_study(replace(SMALL, world=seed), seed=seed), {})
        spec, runs = finished_study(replace(SMALL, world=seed), seed=seed, **AMPLE)
        found = recommend(spec, runs, {})
        if short.verdict != "better":
            decided += found.verdict == "better" and found.stack == LAST
            counts = sorted(seeds_of(runs).values())
            assert counts[-1] > 5
            assert counts[0] <= 5
    assert decided == 2


def test_the_default_is_always_one_of_the_pair() -> None:
    """As long as nothing beats the default it has as many seeds as the leading stack."""
    spec, runs = finished_study(replace(SMALL, world=1), seed=1, **AMPLE)
    counts = seeds_of(runs)
    assert counts[CHAPTER_DEFAULT.stack_id] == max(counts.values())
    assert race(spec, runs).done


def test_hopeless_and_worthless_comparisons_end_early() -> None:
    """Without any difference a study ends before the most seeds, with the default."""
    ended = []
    for seed in range(3):
        spec, runs = finished_study(Planted(shared=0.8, world=seed), seed=seed, **AMPLE)
        ended.append(max(seeds_of(runs).values()))
        assert recommend(spec, runs, {}).stack == CHAPTER_DEFAULT
    assert max(ended) < 40
    assert min(ended) == 5


def test_time_ends_the_seeds() -> None:
    """With no time for another block an open study keeps its five seeds, and is open."""
    asked: dict[str, Any] = {"most_replicates": 40, "confirm_seconds": 1e-3}
    spec, runs = finished_study(replace(SMALL, world=1), seed=1, **asked)
    assert set(seeds_of(runs).values()) <= {3, 4, 5}
    decision = recommend(spec, runs, {}).decision
    assert decision is not None
    assert decision.would_decide is not None


def test_half_of_the_searchs_time_is_the_usual_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a time given, the further seeds take at most half of the search's, or 20 s."""
    monkeypatch.setattr(extension, "LEAST_SECONDS", 0.0)
    spec, runs = finished_study(replace(SMALL, world=1), seed=1, most_replicates=40)
    search = sum(r.seconds["total"] for r in runs if r.phase != CONFIRMATION)
    further = [r for r in runs if r.phase == CONFIRMATION and r.seed_index >= spec.replicates]
    assert sum(r.seconds["total"] for r in further) <= 0.5 * search


def test_least_replicates_are_trained_even_if_decided() -> None:
    """`confirm --replicates 12` trains the best pair with twelve seeds, and nothing else."""
    spec, runs = finished_study(BETTER)
    spec = replace(spec, least_replicates=12, most_replicates=12)
    done = BETTER.confirm(spec, runs)
    counts = seeds_of(done)
    assert counts[LAST.stack_id] == counts[CHAPTER_DEFAULT.stack_id] == 12
    assert sum(n > 5 for n in counts.values()) == 2
    assert recommend(spec, done, {}).difference.n_pairs == 12


def test_the_intervals_are_those_of_the_last_look() -> None:
    """The verdict's intervals have the level at which they hold over the looks that were taken."""
    for planted, wider in ((BETTER, False), (replace(SMALL, world=1), True)):
        spec, runs = finished_study(planted, seed=1, **AMPLE)
        found = choice(spec, runs)
        assert found is not None
        assert found.level == closing_level(spec, max(seeds_of(runs).values()))
        rows = losses(confirmed(found.candidates, runs))
        own = compare(rows, CHAPTER_DEFAULT.stack_id, found.level)[LAST.stack_id]
        assert recommend(spec, runs, {}).difference.ci95 == own.ci95
        first = compare(rows, CHAPTER_DEFAULT.stack_id, FIRST_LEVEL)[LAST.stack_id]
        assert ((own.low or 0.0) < (first.low or 0.0)) == wider


def test_a_single_stack_keeps_the_level_of_the_look_that_decides_it() -> None:
    """Two stacks' pairs estimate the spread poorly, so a later look spends only its own risk."""
    later = []
    for seed in range(4):
        world = replace(SMALL, world=seed)
        spec, runs = finished_study(world, (CHAPTER_DEFAULT, LAST), seed=seed, **AMPLE)
        found, end = choice(spec, runs), max(seeds_of(runs).values())
        assert found is not None
        if found.stack == LAST and ends_of(spec)[0] < end < ends_of(spec)[-1]:
            later.append(found.level == levels_of(spec)[end])
    assert later
    assert all(later)


def test_the_last_look_spends_what_is_left() -> None:
    """A study that ends at its first look has that look's level, later that of the rest."""
    spec = made_up_spec(**AMPLE)
    first, *others, last = ends_of(spec)
    assert closing_level(spec, first) == FIRST_LEVEL > LEVEL
    for end in others:
        assert LEVEL < closing_level(spec, end) < levels_of(spec)[end]
    assert closing_level(spec, last) == pytest.approx(levels_of(spec)[last], abs=1e-9)


def test_the_risk_is_the_stated_one_at_whichever_look_a_study_ends() -> None:
    """If the time ends a study without a difference, an interval misses 0 in 5 % of studies.

    At the first look it is 4 %.
    """
    spec = made_up_spec(**AMPLE)
    ends = ends_of(spec)
    sums = np.random.default_rng(4).normal(size=(40_000, ends[-1])).cumsum(axis=1)
    ratios = np.abs(np.stack([sums[:, n - 1] / np.sqrt(n) for n in ends], axis=1))
    bounds = stats.norm.ppf(0.5 + np.array([levels_of(spec)[n] for n in ends]) / 2)
    for k, end in enumerate(ends):
        closing = stats.norm.ppf(0.5 + closing_level(spec, end) / 2)
        beyond = (ratios[:, :k] > bounds[:k]).any(axis=1) | (ratios[:, k] > closing)
        risk = 1.0 - (LEVEL if k else FIRST_LEVEL)
        assert np.mean(beyond) == pytest.approx(risk, abs=0.004)


def test_without_further_seeds_nothing_is_corrected() -> None:
    """A study that looks once has intervals at the level of the first look."""
    assert levels_of(made_up_spec()) == {5: FIRST_LEVEL}
    assert ends_of(made_up_spec(replicates=1, most_replicates=40)) == (1,)
    assert ends_of(made_up_spec(replicates=0, most_replicates=40)) == ()


def test_the_race_takes_the_same_decisions_at_every_call() -> None:
    """Runs in any order, and any number of calls, lead to the same runs."""
    planted = replace(SMALL, world=2)
    spec = made_up_spec(space={"axes": {}}, trials=5, seed=2, **AMPLE)
    search = planted.search(spec, (CHAPTER_DEFAULT, *NEIGHBOURS))
    one_by_one = list(search)
    while wanted := next_runs(spec, one_by_one):
        last = wanted[-1]
        number = len(one_by_one)
        one_by_one.append(planted.run(last.stack, last.seed, number, last.seed_index, last.label))
    together = planted.confirm(spec, search)
    assert _keys(one_by_one) == _keys(together)


def _keys(runs: list[Run]) -> set[tuple[str | None, int]]:
    return {(r.stack_id, r.seed_index) for r in runs}


def test_a_stack_that_fails_in_a_further_seed_leaves_the_race() -> None:
    """A diverged further run rules its stack out, and the race still ends."""
    spec = made_up_spec(space={"axes": {}}, trials=2, seed=1, least_replicates=8, **AMPLE)
    planted = replace(SMALL, world=1)
    runs = planted.search(spec, (CHAPTER_DEFAULT, ADAM))
    broken = replace(planted, diverge=frozenset({ADAM.stack_id}))
    while not (standing := race(spec, runs)).done:
        for p in standing.wanted:
            world = broken if p.seed_index == 6 else planted
            runs.append(world.run(p.stack, p.seed, len(runs), p.seed_index, p.label))
    assert "diverged" in standing.out[ADAM.stack_id]
    assert recommend(spec, runs, {}).stack == CHAPTER_DEFAULT


def test_a_price_of_simplicity_chooses_the_least_expected_loss() -> None:
    """A gain of 4 % is worth one departure at 0.5 %, and not at 10 %, decided or not."""
    spec, runs = finished_study(SMALL, replicates=2)
    assert _chosen(replace(spec, simplicity=None), runs) == CHAPTER_DEFAULT
    rows = losses(confirmed(choice(spec, runs).candidates, runs))  # type: ignore[union-attr]
    means = {name: sum(row.values()) / len(row) for name, row in rows.items()}
    best = min(means, key=lambda name: means[name])
    assert best != CHAPTER_DEFAULT.stack_id
    assert _chosen(replace(spec, simplicity=0.0), runs).stack_id == best
    assert _chosen(replace(spec, simplicity=50.0), runs) == CHAPTER_DEFAULT
    assert "priced at 50 %" in " ".join(recommend(replace(spec, simplicity=50.0), runs, {}).reasons)


@pytest.mark.parametrize(
    ("gain", "expected", "axes"), [(-0.02, LAST_COSINE, "2 axes"), (-0.001, LAST, "1 axis")]
)
def test_of_stacks_that_beat_the_default_the_cheapest_is_chosen(
    gain: float, expected: Any, axes: str
) -> None:
    """A second departure is chosen where it gains more than its price, half a per cent of 0.5."""
    effects = {"dropout": {"last": -0.1}, "schedule": {"cosine": gain}}
    planted = Planted(effects, base=0.5, deviation=0.02, shared=0.5)
    spec = made_up_spec(space={"axes": {}}, trials=3, seed=1)
    runs = planted.confirm(spec, planted.search(spec, (CHAPTER_DEFAULT, LAST, LAST_COSINE)))
    found = recommend(spec, runs, {})
    assert found.stack == expected
    assert found.verdict == "better"
    assert found.reasons[0] == (
        "2 of the 3 stacks compared are shown to beat the default; with each departure from the "
        f"default priced at 0.5 % of its loss, this one, which departs in {axes}, costs least."
    )


def _chosen(spec: StudySpec, runs: list[Run]) -> Any:
    found = choice(spec, runs)
    assert found is not None
    return found.stack
