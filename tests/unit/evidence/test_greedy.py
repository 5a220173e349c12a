"""Greedy selection of an ensemble's members."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest

from trainstack.search.evidence.greedy import greedy

Y = np.random.default_rng(0).normal(size=40)


def error(p: np.ndarray) -> float:
    """The mean squared error of a prediction."""
    return float(np.mean((p - Y) ** 2))


def candidates(seed: int, count: int = 4) -> list[np.ndarray]:
    """Predictions with errors of different sizes."""
    rng = np.random.default_rng(seed)
    return [Y + rng.normal(0, 0.3 + 0.2 * k, len(Y)) for k in range(count)]


def mean_of(counts: tuple[int, ...], predictions: list[np.ndarray]) -> np.ndarray:
    """The weighted mean, by NumPy."""
    return np.average(predictions, axis=0, weights=counts)


@pytest.mark.parametrize("seed", range(8))
def test_each_round_adds_what_helps_most(seed: int) -> None:
    """After the best half, the counts are those of trying every candidate in every round."""
    found = candidates(seed)
    members = sorted(range(4), key=lambda k: error(found[k]))[:2]
    tried = [(error(np.mean([found[k] for k in members], axis=0)), members)]
    for _ in range(4):
        errors = [error(np.mean([found[k] for k in [*members, new]], axis=0)) for new in range(4)]
        members = [*members, int(np.argmin(errors))]
        tried.append((min(errors), members))
    best = min(tried, key=lambda pair: pair[0])[1]
    expected = tuple(best.count(k) for k in range(4))
    assert greedy(found, error, rounds=6) == expected


@pytest.mark.parametrize("seed", range(8))
def test_it_lies_between_the_mean_of_the_best_half_and_the_best_of_all(seed: int) -> None:
    """No ensemble of that size is better than the best found by trying all of them."""
    found = candidates(seed, 3)
    chosen = greedy(found, error, rounds=4)
    every = [
        error(np.mean([found[k] for k in members], axis=0))
        for size in range(1, 5)
        for members in combinations_with_replacement(range(3), size)
    ]
    half = sorted(found, key=error)[:2]
    assert min(every) <= error(mean_of(chosen, found)) <= error(np.mean(half, axis=0))


@pytest.mark.parametrize(("count", "least"), [(1, 1), (2, 1), (5, 3), (20, 10), (50, 10)])
def test_the_best_half_is_in_it(count: int, least: int) -> None:
    """However lucky one candidate is, the best half belongs to it, up to ten."""
    found = candidates(3, count)
    found[0] = Y.copy()  # without error on these rows
    counts = greedy(found, error)
    best = sorted(range(count), key=lambda k: error(found[k]))[:least]
    assert all(counts[k] for k in best)
    assert sum(count > 0 for count in counts) <= 10


def test_errors_that_cancel_are_both_chosen() -> None:
    """Two candidates whose errors are opposite are in it equally often."""
    assert greedy([Y + 1, Y - 1, Y + 5], error) == (1, 1, 0)


def test_the_number_of_members_is_bounded() -> None:
    """It has at most the stated number of different candidates."""
    counts = greedy(candidates(1, 9), error, rounds=30, most_members=2)
    assert sum(count > 0 for count in counts) == 2


def test_predictions_that_are_not_finite_are_never_chosen() -> None:
    """A candidate with nan is left out; if there is no other, nothing is chosen."""
    bad = np.full(len(Y), np.nan)
    assert greedy([bad, Y + 1], error) == (0, 1)
    assert greedy([bad], error) == (0,)
    assert greedy([], error) == ()
