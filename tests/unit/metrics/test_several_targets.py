"""Metrics of several targets are scikit-learn's means over them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from trainstack.search.metrics.losses import loss_named
from trainstack.search.metrics.own import OwnMetric
from trainstack.search.metrics.table import METRICS, metric_named, metrics_of

RNG = np.random.default_rng(4)
ROWS = 80
Y = RNG.integers(0, 2, (ROWS, 3))
P = np.clip(0.3 * Y + 0.7 * RNG.uniform(size=(ROWS, 3)), 0.01, 0.99)
NUMBERS = RNG.uniform(1, 9, (ROWS, 2))
ANSWERS = NUMBERS + RNG.uniform(-0.9, 0.9, (ROWS, 2))
W = RNG.uniform(0.2, 2.0, ROWS)


def each(function: Any, y: np.ndarray, p: np.ndarray) -> float:
    """Return the mean of a function of scikit-learn over the columns."""
    found = [function(y[:, k], p[:, k], sample_weight=W) for k in range(y.shape[1])]
    return float(np.mean(found))


LABELS = {
    "log_loss": lambda: each(metrics.log_loss, Y, P),
    "accuracy": lambda: each(metrics.accuracy_score, Y, P > 0.5),
    "balanced_accuracy": lambda: each(metrics.balanced_accuracy_score, Y, P > 0.5),
    "f1_macro": lambda: metrics.f1_score(Y, P > 0.5, average="macro", sample_weight=W),
    "roc_auc": lambda: metrics.roc_auc_score(Y, P, average="macro", sample_weight=W),
    "average_precision": lambda: metrics.average_precision_score(
        Y, P, average="macro", sample_weight=W
    ),
    "brier": lambda: each(metrics.brier_score_loss, Y, P),
}
QUANTITIES = {
    "rmse": metrics.root_mean_squared_error,
    "mae": metrics.mean_absolute_error,
    "median_absolute_error": metrics.median_absolute_error,
    "r2": metrics.r2_score,
    "rmsle": metrics.root_mean_squared_log_error,
}


@pytest.mark.parametrize("name", LABELS)
def test_metrics_of_labels_are_scikit_learns(name: str) -> None:
    """They are means over labels, weighted; F1 is that of each label's second value."""
    assert metric_named(name, "multilabel").value(Y, P, W) == pytest.approx(LABELS[name]())


@pytest.mark.parametrize("name", QUANTITIES)
def test_metrics_of_quantities_are_scikit_learns(name: str) -> None:
    """They are uniform averages over targets, weighted by row."""
    expected = QUANTITIES[name](NUMBERS, ANSWERS, sample_weight=W, multioutput="uniform_average")
    assert METRICS[name].value(NUMBERS, ANSWERS, W) == pytest.approx(expected, rel=1e-9)


def test_labels_have_the_metrics_and_losses_of_classes() -> None:
    """The same names are offered, and those of numbers are refused."""
    assert metrics_of("multilabel") == metrics_of("classification")
    assert loss_named("focal", "multilabel").name == "focal"


def test_a_metric_of_the_users_own_takes_all_targets_at_once() -> None:
    """Its function gets [N, T] of both."""
    own = OwnMetric(
        "m.py", "all_right", "maximize", "def all_right(y, p, w):\n    return p.shape[1]"
    )
    assert own.metric("multilabel").value(Y, P, W) == 3.0
