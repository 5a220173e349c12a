"""Every metric equals scikit-learn's, weighted and not."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from trainstack.search.metrics.table import METRICS, figures, metric_named, metrics_of
from trainstack.spaces.errors import RequestError

CLASSES = [row.name for row in metrics_of("classification") if row.name != "ece"]
NUMBERS = [row.name for row in metrics_of("regression")]


def weights(rng: np.random.Generator, rows: int, kind: str) -> np.ndarray:
    """Return equal weights, uneven ones, or whole numbers with zeros among them."""
    if kind == "equal":
        return np.ones(rows)
    if kind == "uneven":
        return rng.uniform(0.01, 10.0, rows)
    found = rng.integers(0, 4, rows).astype(float)
    found[: rows // 2] += 1.0
    return found


KINDS = st.sampled_from(["equal", "uneven", "whole"])


def by_sklearn(name: str, y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return scikit-learn's value, by the expression that exported code has."""
    found = eval(METRICS[name].python, {"metrics": metrics, "np": np, "y": y, "p": p, "w": w})
    return float(found)


@pytest.mark.parametrize("name", CLASSES)
@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(8, 200),
    count=st.integers(2, 5),
    digits=st.sampled_from([1, 2, 15]),
    kind=KINDS,
)
def test_metrics_of_classes_equal_those_of_scikit_learn(
    name: str, seed: int, rows: int, count: int, digits: int, kind: str
) -> None:
    """For any labels, probabilities (with ties) and weights, to 1e-6."""
    rng = np.random.default_rng(seed)
    y = np.append(np.arange(count), rng.integers(0, count, rows))
    p = np.round(rng.dirichlet(np.full(count, 0.7), len(y)), digits) + 1e-3
    p /= p.sum(1, keepdims=True)
    w = weights(rng, len(y), kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = by_sklearn(name, y, p, w)
    assert METRICS[name].function(y, p, w) == pytest.approx(expected, abs=1e-6, rel=1e-6)


@pytest.mark.parametrize("name", NUMBERS)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(2, 200), kind=KINDS)
def test_metrics_of_numbers_equal_those_of_scikit_learn(
    name: str, seed: int, rows: int, kind: str
) -> None:
    """For any targets, predictions and weights, to 1e-6."""
    rng = np.random.default_rng(seed)
    y = rng.gamma(1.5, 20.0, rows).round(int(rng.integers(0, 6)))
    p = y + rng.normal(0.0, 10.0, rows)
    if not METRICS[name].from_zero:
        y, p = y - 15.0, p - 15.0
    w = weights(rng, rows, kind)
    expected = by_sklearn(name, y, p, w)
    assert METRICS[name].function(y, p, w) == pytest.approx(expected, abs=1e-6, rel=1e-6)


def test_the_brier_score_is_that_of_scikit_learn() -> None:
    """Exported code spells it out; scikit-learn's function has the same value for two classes."""
    rng = np.random.default_rng(0)
    y, p1, w = rng.integers(0, 2, 50), rng.uniform(size=50), rng.uniform(size=50)
    mine = METRICS["brier"].function(y, np.stack([1 - p1, p1], 1), w)
    assert mine == pytest.approx(metrics.brier_score_loss(y, p1, sample_weight=w))


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 5), kind=KINDS)
def test_the_calibration_error_is_the_mean_gap_of_fifteen_bins(
    seed: int, count: int, kind: str
) -> None:
    """It equals a loop over the bins (Guo et al. 2017)."""
    rng = np.random.default_rng(seed)
    y, p = rng.integers(0, count, 80), rng.dirichlet(np.ones(count), 80)
    w = weights(rng, 80, kind)
    total = 0.0
    for bin_ in range(15):
        rows = [i for i in range(80) if bin_ / 15 <= max(p[i]) < (bin_ + 1) / 15]
        mass = sum(w[i] for i in rows)
        if mass:
            right = sum(w[i] for i in rows if np.argmax(p[i]) == y[i]) / mass
            top = sum(w[i] * max(p[i]) for i in rows) / mass
            total += mass / w.sum() * abs(right - top)
    assert METRICS["ece"].function(y, p, w) == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("row", METRICS.values(), ids=lambda row: row.name)
def test_a_perfect_prediction_has_the_best_value(row) -> None:
    """Its objective is the least that the range allows."""
    y = np.array([0, 1, 2, 1, 0, 2])
    p = np.eye(3)[y] if row.task == "classification" else y.astype(float)
    found = row.function(y if row.task == "classification" else y.astype(float), p, np.ones(6))
    assert found == pytest.approx(row.high if row.rises else row.low, abs=1e-6)
    assert row.objective(found) == pytest.approx(0.0, abs=1e-6)
    assert row.objective(row.objective(0.3)) == pytest.approx(0.3)


def test_a_part_without_a_class_has_no_area() -> None:
    """The metrics that need every class are left out of the figures, the others are there."""
    y, p = np.zeros(4, int), np.full((4, 2), 0.5)
    found = figures("classification", y, p, np.ones(4))
    assert set(found) == {r.name for r in metrics_of("classification")} - {
        "roc_auc",
        "average_precision",
    }


def test_figures_of_negative_targets_have_no_metric_that_needs_others() -> None:
    """RMSLE and the Poisson deviance are left out."""
    y = np.array([-1.0, 2.0])
    found = figures("regression", y, y + 1.0, np.ones(2))
    assert set(found) == {"rmse", "mae", "median_absolute_error", "r2"}
    assert all(math.isfinite(value) for value in found.values())


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("rocauc", "classification", "'rocauc' is not known"),
        ("rmse", "classification", "a classification has no rmse"),
        ("roc_auc", "regression", "a regression has no roc_auc"),
    ],
)
def test_a_metric_that_the_task_does_not_have_is_refused(
    name: str, task: str, message: str
) -> None:
    """In one line, with the names that it has."""
    with pytest.raises(RequestError, match=message) as caught:
        metric_named(name, task)
    assert "\n" not in str(caught.value)
