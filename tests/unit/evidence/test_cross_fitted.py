"""Predictions of ensembles for rows that did not choose them."""

from __future__ import annotations

import numpy as np
import pytest

from trainstack.search.evidence.greedy import cross_fitted, greedy

ROWS = 100


def squared(y: np.ndarray, rows: np.ndarray, p: np.ndarray) -> float:
    """The mean squared error for some rows."""
    return float(np.mean((y[rows] - p) ** 2))


def test_a_rows_own_target_does_not_change_its_prediction() -> None:
    """A target that changes the choice changes only the predictions of the other half."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=ROWS)
    candidates = [y + rng.normal(0, 0.5, ROWS) for _ in range(6)]
    before = cross_fitted(candidates, lambda rows, p: squared(y, rows, p))
    assert before is not None
    for row in range(ROWS):
        other = y.copy()
        other[row] += 100
        after = cross_fitted(candidates, lambda rows, p, y=other: squared(y, rows, p))
        assert after is not None
        assert after[row] == before[row]


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 3)])
def test_its_error_is_not_that_of_luck(shape: tuple[int, ...]) -> None:
    """Of candidates without any skill the chosen ensemble seems better than zero on the rows that
    chose it; on other rows it is not."""
    gains, honest = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = rng.normal(size=shape)
        candidates = [rng.normal(0, 0.2, shape) for _ in range(40)]
        counts = greedy(candidates, lambda p, y=y: float(np.mean((y - p) ** 2)))
        chosen = np.average(candidates, axis=0, weights=counts)
        found = cross_fitted(candidates, lambda rows, p, y=y: squared(y, rows, p))
        assert found is not None
        gains.append(np.mean(y**2) - np.mean((y - chosen) ** 2))
        honest.append(np.mean(y**2) - np.mean((y - found) ** 2))
    assert np.mean(gains) > 0.01
    assert np.mean(honest) < 0.0


def test_without_a_finite_objective_there_is_none() -> None:
    """It is None if a half of the rows chooses no ensemble."""
    assert cross_fitted([np.zeros(4)], lambda rows, p: float("nan")) is None


def test_one_row_has_no_other_half() -> None:
    """A validation part of a single row, as a user may give one, has no such predictions."""
    assert cross_fitted([np.ones((1, 2))], lambda rows, p: 1.0 / len(rows)) is None
