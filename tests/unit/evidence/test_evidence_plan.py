"""The confirmed stacks, their order, dropping from the race, and the choice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.planted_study import Planted, made_up_spec, neighbours
from trainstack.search.evidence.candidates import MOST_CANDIDATES, candidates, departures, searched
from trainstack.search.evidence.race import (
    DROP_RISK,
    choice,
    confirmation_seed,
    next_runs,
    race,
)
from trainstack.search.records import CONFIRMATION, SEARCH, Outcome, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.portfolio import MEASURED_DEFAULT
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES
from trainstack.spaces.stack import Stack

BN = REFERENCES["relu-he-bn-adam"]
PLAIN = REFERENCES["relu-he-sgd-1cycle"]
SELU = neighbours(4)


def study(
    planted: Planted, stacks: list[Stack], replicates: int = 5, seed: int = 0
) -> tuple[StudySpec, list[Run]]:
    """A finished search over exactly these stacks."""
    spec = made_up_spec(space={"axes": {}}, trials=len(stacks), replicates=replicates, seed=seed)
    return spec, planted.search(spec, stacks)


def quiet(**effects: dict[object, float]) -> Planted:
    """Planted effects with hardly any noise."""
    return Planted(effects=effects, deviation=1e-4)


def test_each_family_is_among_the_candidates() -> None:
    """The best of every family is confirmed, even when others have lower losses."""
    planted = quiet(normalization={"before": 0.3}, activation={"relu": 0.2})
    spec, runs = study(planted, [*neighbours(6), BN, PLAIN])
    found = candidates(spec, runs)
    assert {c.stack.family for c in found} == {"self-normalizing", "batch-normalized", "plain"}
    assert len(found) == MOST_CANDIDATES + 1
    assert found[-1].is_baseline


def test_the_baseline_is_confirmed_even_when_it_was_never_searched() -> None:
    """The chapter's default is always compared, without a search value if it was not searched."""
    spec, runs = study(quiet(), [BN])
    assert [c.stack for c in candidates(spec, runs)] == [BN, CHAPTER_DEFAULT]
    assert candidates(spec, runs)[-1].search_value is None


def test_the_measured_default_is_confirmed_if_it_finished() -> None:
    """The trial of the measured default is a candidate whatever its loss, unless it diverged."""
    spec, runs = study(Planted(), neighbours(6))
    worst = searched(runs)[-1].stack
    assert worst not in [c.stack for c in candidates(spec, runs, most=3)]
    marked = [
        replace(r, label=MEASURED_DEFAULT) if r.stack_id == worst.stack_id else r for r in runs
    ]
    found = candidates(spec, marked, most=3)
    assert [c.label for c in found if c.stack == worst] == [MEASURED_DEFAULT]
    assert len(found) == 4
    diverged = [
        replace(r, outcome=Outcome.DIVERGED) if r.label == MEASURED_DEFAULT else r for r in marked
    ]
    assert worst not in [c.stack for c in candidates(spec, diverged, most=3)]


def test_a_stack_trained_twice_is_one_candidate() -> None:
    """Equal stacks count once, with their lowest loss."""
    spec, runs = study(Planted(), [BN, BN])
    (first, _) = candidates(spec, runs)
    assert first.search_value == min(r.value for r in runs if r.value is not None)


def test_nothing_finished_means_nothing_to_confirm() -> None:
    """Without a finished trial there is no candidate, no planned run, and no choice."""
    spec, runs = study(Planted(diverge=frozenset({BN.stack_id})), [BN])
    assert candidates(spec, runs) == ()
    assert next_runs(spec, runs) == []
    assert choice(spec, runs) is None


def test_first_block_is_the_same_three_seeds_for_all() -> None:
    """All candidates and the baseline start with the same three seeds."""
    spec, runs = study(Planted(), [CHAPTER_DEFAULT, *SELU])
    wanted = next_runs(spec, runs)
    seeds = {confirmation_seed(spec.seed, j) for j in range(3)}
    assert len(wanted) == 3 * 5
    for stack in (CHAPTER_DEFAULT, *SELU):
        assert {p.seed for p in wanted if p.stack == stack} == seeds


def test_confirmation_seeds_are_fresh_and_distinct() -> None:
    """Replicates have distinct seeds, none of them used by the search."""
    spec, runs = study(Planted(), SELU)
    seeds = [confirmation_seed(spec.seed, j) for j in range(50)]
    assert len(set(seeds)) == 50
    assert not set(seeds) & {r.seed for r in runs}
    assert all(2**30 <= s < 2**31 for s in seeds)


def test_planning_again_changes_nothing() -> None:
    """Waiting and running runs are not planned twice, and nothing starts before its block ended."""
    spec, runs = study(Planted(), SELU)
    under_way = [
        Run(CONFIRMATION, k, p.stack, p.stack.stack_id, p.seed, p.seed_index, outcome="running")
        for k, p in enumerate(next_runs(spec, runs))
    ]
    assert next_runs(spec, [*runs, *under_way[:-1]]) == next_runs(spec, runs)[-1:]
    assert next_runs(spec, [*runs, *under_way]) == []
    assert not race(spec, [*runs, *under_way]).done


def test_clearly_worse_stacks_are_dropped_after_the_first_block() -> None:
    """A clearly worse stack gets three seeds; the leader and the baseline get all."""
    planted = Planted(effects={"optimizer": {"adam": 0.5}, "dropout": {"last": -0.5}})
    spec, runs = study(planted, [CHAPTER_DEFAULT, *SELU])
    done = planted.confirm(spec, runs)
    counts = {
        stack: sum(r.phase == CONFIRMATION and r.stack == stack for r in done)
        for stack in (CHAPTER_DEFAULT, *SELU)
    }
    adam, last = SELU[0], SELU[2]
    assert counts[adam] == 3
    assert counts[last] == counts[CHAPTER_DEFAULT] == 5
    assert race(spec, done).done


def test_a_noisy_stack_is_rarely_dropped_by_chance() -> None:
    """A stack with three times the noise of the others, as good as they, keeps to DROP_RISK."""
    dropped = 0
    for seed in range(150):
        planted = Planted(noisier={SELU[0].stack_id: 3.0}, world=seed)
        spec, runs = study(planted, [CHAPTER_DEFAULT, *SELU], seed=seed)
        dropped += SELU[0].stack_id in race(spec, planted.confirm(spec, runs)).out
    assert dropped <= DROP_RISK * 150


@pytest.mark.parametrize(("replicates", "runs_each"), [(0, 0), (1, 1), (2, 2), (3, 3)])
def test_few_replicates_are_one_block(replicates: int, runs_each: int) -> None:
    """With up to three replicates no stack is dropped."""
    planted = Planted(effects={"optimizer": {"adam": 0.5}})
    spec, runs = study(planted, [CHAPTER_DEFAULT, *SELU], replicates)
    done = planted.confirm(spec, runs)
    assert len(done) - len(runs) == 5 * runs_each


def test_a_candidate_that_diverges_is_out_and_not_tried_again() -> None:
    """A diverged confirmation run excludes its stack without a retry; the others continue."""
    spec, runs = study(quiet(dropout={"last": -0.2}), [CHAPTER_DEFAULT, *SELU])
    spoilt = Planted(deviation=1e-4, diverge=frozenset({SELU[2].stack_id}))
    done = spoilt.confirm(spec, runs)
    found = choice(spec, done)
    assert found is not None
    assert found.stack != SELU[2]
    assert "diverged" in found.out[SELU[2].stack_id]
    assert sum(r.phase == CONFIRMATION and r.stack == SELU[2] for r in done) <= 3


def test_the_default_is_chosen_without_a_difference() -> None:
    """Without a real difference the chapter's default is chosen, as the simplest."""
    planted = Planted()
    spec, runs = study(planted, [CHAPTER_DEFAULT, *SELU])
    found = choice(spec, planted.confirm(spec, runs))
    assert found is not None
    assert found.stack == CHAPTER_DEFAULT


def test_a_stack_that_beats_the_default_is_chosen() -> None:
    """A real improvement is preferred to the default."""
    planted = Planted(effects={"dropout": {"last": -0.2}})
    spec, runs = study(planted, [CHAPTER_DEFAULT, *SELU])
    found = choice(spec, planted.confirm(spec, runs))
    assert found is not None
    assert found.stack == SELU[2]


def test_of_equally_good_stacks_the_one_nearest_the_default_is_chosen() -> None:
    """Of stacks that cannot be distinguished the one with the fewest departures is chosen."""
    near = CHAPTER_DEFAULT.but(dropout="last")
    far = near.but(batch_size=64, clipping="norm")
    planted = Planted(effects={"dropout": {"last": -0.2}, "batch_size": {64: -0.001}})
    spec, runs = study(planted, [CHAPTER_DEFAULT, far, near])
    found = choice(spec, planted.confirm(spec, runs))
    assert found is not None
    assert found.stack == near


def test_of_equally_near_stacks_the_smaller_is_chosen() -> None:
    """With equal departures the network with fewer weights is chosen."""
    small, large = (CHAPTER_DEFAULT.but(units=[u, u]) for u in (50, 500))
    planted = Planted(effects={"units": {(50, 50): -0.2, (500, 500): -0.2001}})
    spec, runs = study(planted, [CHAPTER_DEFAULT, large, small])
    found = choice(spec, planted.confirm(spec, runs))
    assert found is not None
    assert found.stack == small


def test_one_replicate_chooses_the_lowest_loss() -> None:
    """With one seed nothing can be distinguished; the lowest confirmed loss is chosen."""
    planted = quiet(dropout={"last": -0.01})
    spec, runs = study(planted, [CHAPTER_DEFAULT, *SELU], replicates=1)
    found = choice(spec, planted.confirm(spec, runs))
    assert found is not None
    assert found.stack == SELU[2]


def test_a_confirmation_cut_short_still_chooses() -> None:
    """After any number of confirmation runs there is a choice."""
    planted = Planted(effects={"dropout": {"last": -0.2}})
    spec, runs = study(planted, [CHAPTER_DEFAULT, *SELU])
    done = planted.confirm(spec, runs)
    for cut in range(len(runs), len(done) + 1):
        assert choice(spec, done[:cut]) is not None


def test_a_baseline_that_diverges_does_not_stop_the_others() -> None:
    """If the chapter's default cannot be trained, the best of the others is chosen."""
    planted = Planted(
        effects={"dropout": {"last": -0.2}}, diverge=frozenset({CHAPTER_DEFAULT.stack_id})
    )
    spec, runs = study(planted, [CHAPTER_DEFAULT, *SELU])
    found = choice(spec, planted.confirm(spec, runs))
    assert found is not None
    assert found.stack == SELU[2]


def test_an_initializer_that_came_with_its_activation_is_no_departure() -> None:
    """ReLU with He departs in one axis, as does another initializer for the same activation."""
    relu = CHAPTER_DEFAULT.but(activation="relu", initializer="he_normal")
    assert departures(relu) == ("activation",)
    assert departures(CHAPTER_DEFAULT.but(initializer="lecun_uniform")) == ("initializer",)
    assert departures(CHAPTER_DEFAULT) == ()


@pytest.mark.thorough
def test_planted_truth_survives_search_race_and_choice() -> None:
    """Over 60 studies without a difference at most 5 % leave the default; the confirmed score is
    unbiased, the best trial's is biased by more than a deviation."""
    planted = Planted()
    left, bias, naive = 0, 0.0, 0.0
    for seed in range(60):
        spec, runs = study(planted, [CHAPTER_DEFAULT, *neighbours(8)], replicates=5, seed=seed)
        done = planted.confirm(spec, runs)
        found = choice(spec, done)
        assert found is not None
        left += found.stack != CHAPTER_DEFAULT
        own = [r for r in done if r.phase == CONFIRMATION and r.stack == found.stack]
        mean = sum(r.value or 0.0 for r in own) / len(own)
        bias += (mean - planted.truth(found.stack)) / planted.deviation / 60
        naive += (min(r.value or 9.0 for r in runs) - planted.base) / planted.deviation / 60
    assert left <= 3
    assert abs(bias) < 0.2
    assert naive < -1.0


def test_voiding_a_confirmation_run_asks_for_it_again() -> None:
    """A voided run counts as never made."""
    planted = Planted()
    spec, runs = study(planted, SELU, replicates=3)
    done = planted.confirm(spec, runs)
    voided = [*done[:-1], replace(done[-1], outcome="voided")]
    assert [(p.stack, p.seed_index) for p in next_runs(spec, voided)] == [
        (done[-1].stack, done[-1].seed_index)
    ]


def test_a_stack_that_no_seed_confirmed_is_not_counted() -> None:
    """After voiding a trial, an unconfirmed replacement is not counted as compared."""
    spec, runs = study(quiet(), [CHAPTER_DEFAULT, *neighbours(MOST_CANDIDATES + 2)], replicates=3)
    done = quiet().confirm(spec, runs)
    before = choice(spec, done)
    assert before is not None
    assert before.compared == MOST_CANDIDATES + 1
    lost = next(c.stack for c in before.candidates if c.stack != before.stack and not c.is_baseline)
    voided = [
        replace(r, outcome="voided") if r.stack == lost and r.phase == SEARCH else r for r in done
    ]
    after = choice(spec, voided)
    assert after is not None
    assert len(after.candidates) == MOST_CANDIDATES + 1
    assert after.compared == MOST_CANDIDATES
    assert f"The {MOST_CANDIDATES} stacks compared" in " ".join(after.reasons)
