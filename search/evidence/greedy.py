"""Choosing the members of an ensemble greedily by their predictions for validation rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

# Members in all, each as often as it was added, and different ones among them, at most.
ROUNDS, MOST_MEMBERS = 20, 10


def starters(candidates: int, most_members: int = MOST_MEMBERS) -> int:
    """Return how many of the best candidates are in every ensemble: half of them.

    >>> starters(5), starters(50)
    (3, 10)
    """
    return min(most_members, (candidates + 1) // 2)


def greedy(
    predictions: Sequence[np.ndarray],
    objective: Callable[[np.ndarray], float],
    rounds: int = ROUNDS,
    most_members: int = MOST_MEMBERS,
) -> tuple[int, ...]:
    """Return how often each candidate is in the ensemble whose mean prediction is best.

    It starts with the best half of the candidates, once each, so that luck on few rows cannot
    leave it with two or three networks. Each round adds the candidate, perhaps once more, that
    gives the lowest objective of the mean; the first of equal ones is taken. The ensemble with the
    lowest objective since the start is returned, the smallest of equal ones.

    Args:
        predictions: Each candidate's predictions for the same rows: probabilities or numbers.
        objective: Returns the number to minimize of such predictions.
        rounds: Number of members at which it ends, each counted as often as it was added.
        most_members: Greatest number of different candidates in it, at least 1.

    Returns:
        One count for each candidate; all are 0 if no objective is finite.

    Example:
        >>> y = np.array([0.0, 1.0, 2.0])
        >>> greedy([y + 1, y - 1, y + 5], lambda p: float(np.mean((p - y) ** 2)))
        (1, 1, 0)

    Reference: Caruana et al., "Ensemble selection from libraries of models", 2004; its section 2.2
    starts with the best candidates.
    """
    counts = [0] * len(predictions)
    alone = [_finite(objective(p)) for p in predictions]
    able = [k for k in np.argsort(alone, kind="stable").tolist() if np.isfinite(alone[k])]
    start = able[: starters(len(able), most_members)]
    if not start:
        return tuple(counts)
    for k in start:
        counts[k] = 1
    total = np.sum([predictions[k] for k in start], axis=0)
    best, found = _finite(objective(total / len(start))), tuple(counts)
    for size in range(len(start) + 1, rounds + 1):
        full = sum(count > 0 for count in counts) >= most_members
        tried = {
            k: _finite(objective((total + predictions[k]) / size))
            for k in able
            if counts[k] or not full
        }
        chosen = min(tried, key=lambda k: (tried[k], k))
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
        Predictions for all rows; None if a half chooses no ensemble, or there is one row only.
    """
    if len(predictions[0]) < 2:
        return None
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
