"""Choosing the members of an ensemble greedily by their predictions for validation rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

# Members that are added one after the other, and different ones among them, at most.
ROUNDS, MOST_MEMBERS = 20, 5


def greedy(
    predictions: Sequence[np.ndarray],
    objective: Callable[[np.ndarray], float],
    rounds: int = ROUNDS,
    most_members: int = MOST_MEMBERS,
) -> tuple[int, ...]:
    """Return how often each candidate is in the ensemble whose mean prediction is best.

    Starting from nothing, each round adds the candidate, perhaps once more, that gives the lowest
    objective of the mean; the first of equal ones is taken. The ensemble of the round with the
    lowest objective is returned, the smallest of equal ones.

    Args:
        predictions: Each candidate's predictions for the same rows: probabilities or numbers.
        objective: Returns the number to minimize of such predictions.
        rounds: Number of rounds, at least 1.
        most_members: Greatest number of different candidates in it, at least 1.

    Returns:
        One count for each candidate; all are 0 if no objective is finite.

    Reference: Caruana et al., "Ensemble selection from libraries of models", 2004.
    """
    counts, total = [0] * len(predictions), 0.0
    best, found = np.inf, tuple(counts)
    for size in range(1, rounds + 1):
        full = sum(count > 0 for count in counts) >= most_members
        tried = [
            np.inf if full and not counts[k] else _finite(objective((total + p) / size))
            for k, p in enumerate(predictions)
        ]
        chosen = int(np.argmin(tried)) if tried else 0
        if not tried or not np.isfinite(tried[chosen]):
            break
        counts[chosen] += 1
        total = total + predictions[chosen]
        if tried[chosen] < best:
            best, found = tried[chosen], tuple(counts)
    return found


def cross_fitted(
    predictions: Sequence[np.ndarray], objective: Callable[[np.ndarray, np.ndarray], float]
) -> np.ndarray | None:
    """Return predictions of two ensembles, each for the half of the rows that did not choose it.

    Args:
        predictions: Each candidate's predictions for the same rows, at least one.
        objective: Returns the number to minimize of predictions for some rows; it gets their
            positions and the predictions.

    Returns:
        Predictions for all rows; None if a half chooses no ensemble.
    """
    order = np.random.default_rng(0).permutation(len(predictions[0]))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    found = np.zeros(predictions[0].shape)
    for chosen_by, others in (halves, halves[::-1]):
        counts = greedy([p[chosen_by] for p in predictions], partial(objective, chosen_by))
        if not any(counts):
            return None
        found[others] = np.average([p[others] for p in predictions], axis=0, weights=counts)
    return found


def _finite(value: float) -> float:
    return value if np.isfinite(value) else np.inf
