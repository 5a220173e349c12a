"""Temperature scaling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from trainstack.search.evidence.temperature import at_temperature, best_temperature


def drawn(seed: int, classes: int, rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, and labels drawn with their probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (rows, classes))
    p = softmax(logits, axis=1)
    y = (rng.random((rows, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    return logits, y


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_planted_temperature_is_found(classes: int, factor: float) -> None:
    """Logits that are multiplied by a factor are divided by about that factor."""
    logits, y = drawn(3, classes)
    p = softmax(factor * logits, axis=1)
    assert best_temperature(y, p, np.ones(len(y))) == pytest.approx(factor, rel=0.1)


def test_probabilities_are_those_of_the_divided_logits() -> None:
    """They equal SciPy's softmax of logits / T."""
    logits, _ = drawn(1, 3, 50)
    found = at_temperature(np.exp(log_softmax(logits, axis=1)), 2.5)
    np.testing.assert_allclose(found, softmax(logits / 2.5, axis=1), rtol=1e-12)


@pytest.mark.parametrize("seed", range(30))
def test_the_log_loss_never_rises(seed: int) -> None:
    """For any probabilities, labels and weights the validation log loss is at most as before."""
    rng = np.random.default_rng(seed)
    rows, classes = int(rng.integers(1, 40)), int(rng.integers(2, 5))
    p = softmax(rng.normal(0, 10 ** rng.uniform(-2, 2), (rows, classes)), axis=1)
    y = rng.integers(0, classes, rows) if seed % 3 else p.argmax(axis=1)
    w = rng.random(rows) + 0.01

    def loss(q: np.ndarray) -> float:
        return float(log_loss(y, q, labels=range(classes), sample_weight=w))

    temperature = best_temperature(y, p, w)
    after = p if temperature == 1.0 else at_temperature(p, temperature)
    assert loss(after) <= loss(p) + 1e-12


def test_without_rows_nothing_changes() -> None:
    """The temperature is 1 if there is no row, or none with a weight."""
    assert best_temperature(np.zeros(0, int), np.zeros((0, 2)), np.zeros(0)) == 1.0
    assert best_temperature(np.array([0]), np.array([[0.1, 0.9]]), np.zeros(1)) == 1.0


def test_few_rows_that_are_all_right_change_nothing() -> None:
    """Fifty right answers with 0.99 each are no evidence for more certainty."""
    y = np.arange(50) % 2
    p = np.where(np.eye(2)[y] == 1, 0.99, 0.01)
    assert best_temperature(y, p, np.ones(50)) == 1.0
