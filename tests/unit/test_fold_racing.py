"""A trial's remaining folds are left out if it is clearly behind on the first ones."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainstack.search.sampling.fold_racing import ERRORS, behind, first_folds

FOLDS = 5
# Whole numbers, so that sums and differences are exact.
losses = st.integers(0, 10**6).map(float)
trials = st.lists(st.lists(losses, min_size=FOLDS, max_size=FOLDS), max_size=8)
firsts = st.lists(losses, min_size=1, max_size=FOLDS - 1)


def test_the_bound_is_that_of_a_mean_without_replacement() -> None:
    """The gap is compared with the borrowed spread and the error of two folds of five."""
    best = [3.0, 1.0, 2.0, 5.0, 4.0]
    others = [[a + d for a, d in zip(best, extra, strict=True)] for extra in ([1, 2, 0, 4, 3],)]
    spread = statistics.stdev([1, 2, 0, 4, 3])
    bound = ERRORS * spread * math.sqrt(1 / 2 - 1 / 5)
    assert not behind([3.0 + 0.99 * bound, 1.0 + 0.99 * bound], [best, *others])
    assert behind([3.0 + 1.01 * bound, 1.0 + 1.01 * bound], [best, *others])


@given(firsts, trials, st.integers(-8, 8))
def test_the_unit_of_the_loss_does_not_matter(
    mine: list[float], finished: list[list[float]], power: int
) -> None:
    """All objectives times a number give the same decision."""
    unit = 2.0**power
    scaled = [[unit * loss for loss in trial] for trial in finished]
    assert behind([unit * loss for loss in mine], scaled) == behind(mine, finished)


@given(firsts, trials, st.lists(st.integers(-1000, 1000), min_size=FOLDS, max_size=FOLDS))
def test_the_difficulty_of_a_fold_does_not_matter(
    mine: list[float], finished: list[list[float]], difficulty: list[int]
) -> None:
    """A number added to all objectives of a fold gives the same decision."""

    def harder(trial: list[float]) -> list[float]:
        return [a + b for a, b in zip(trial, difficulty, strict=False)]

    changed = [harder(trial) for trial in finished]
    # Equally good trials may be told apart by the order of their folds' values.
    means = [sum(trial) for trial in finished]
    if means.count(min(means, default=0.0)) <= 1:
        assert behind(harder(mine), changed) == behind(mine, finished)


@given(trials, st.integers(1, FOLDS), st.randoms())
def test_the_best_is_never_behind_and_order_is_irrelevant(
    finished: list[list[float]], used: int, rng: random.Random
) -> None:
    """The best finished trial is not behind itself, in whatever order trials finished."""
    if not finished:
        return
    best = min(finished, key=lambda trial: (sum(trial), trial))
    assert not behind(best[:used], finished)
    shuffled = rng.sample(finished, len(finished))
    for trial in finished:
        assert behind(trial[:used], finished) == behind(trial[:used], shuffled)


@given(firsts, trials)
def test_a_better_trial_is_not_behind_either(
    mine: list[float], finished: list[list[float]]
) -> None:
    """If a trial is not behind, one with lower objectives is not behind."""
    if not behind(mine, finished):
        assert not behind([loss - 1.0 for loss in mine], finished)


@pytest.mark.parametrize(
    "finished", [[], [[1.0] * FOLDS], [[math.inf] * FOLDS, [math.nan] * FOLDS]]
)
def test_without_two_finished_trials_no_trial_is_behind(finished: list[list[float]]) -> None:
    """A spread needs the best finished trial and another one."""
    assert not behind([5.0, 6.0], finished)


@pytest.mark.parametrize("diverged", [math.inf, math.nan])
def test_a_diverged_fold_is_behind_and_not_compared_with(diverged: float) -> None:
    """A trial with a diverged fold is behind; a finished one with such a fold is left out."""
    finished = [[1.0, 2.0, 3.0, 2.0, 1.0], [1.5, 2.0, 3.5, 2.0, 1.5]]
    assert behind([1.0, diverged], finished)
    spoilt = [*finished, [0.0, 0.0, 0.0, 0.0, diverged]]
    for mine in ([1.1, 2.0], [3.0, 4.0]):
        assert behind(mine, spoilt) == behind(mine, finished)


@pytest.mark.parametrize("folds", range(1, 21))
def test_some_folds_are_trained_first(folds: int) -> None:
    """At least one fold is trained before the decision, and with several some remain."""
    assert 1 <= first_folds(folds) <= max(1, folds - 1)
