"""The trivial predictor of the measurement, compared with scikit-learn and computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error

from trainstack.search.data.part import Part
from trainstack.search.data.splitting import Split, make_split
from trainstack.workers.tasks.metrics import Scorer
from trainstack.workers.tasks.trivial_predictor import (
    TrivialPredictor,
    trivial_document,
    trivial_run,
)

RNG = np.random.default_rng(7)


def part(targets: Any, dtype: Any) -> Part:
    """Random rows of two features."""
    return Part(RNG.normal(size=(len(targets), 2)).astype(np.float32), np.array(targets, dtype))


def split_of(task: str, *targets: Any) -> Split:
    """The parts with these targets: training, validation, test."""
    parts = [part(y, np.int32 if task == "classification" else np.float32) for y in targets]
    return make_split(*parts, task=task, columns=("a", "b"), vocabulary={})


def some(figures: dict[str, float], *names: str) -> dict[str, float]:
    """Return the figures of these names."""
    return {name: figures[name] for name in names}


def test_class_shares_are_scored_as_scikit_learn_scores_them() -> None:
    """Loss and accuracy equal those of scikit-learn's prior classifier, on both parts."""
    split = split_of("classification", [0] * 6 + [1] * 3 + [2], [0, 1, 2, 2], [0, 0, 0, 1, 2])
    prior = DummyClassifier(strategy="prior").fit(split.x_train, split.y_train)
    predictor = TrivialPredictor(Scorer(split, 3))
    for name in ("valid", "test"):
        x, y = getattr(split, f"x_{name}"), getattr(split, f"y_{name}")
        assert some(predictor.figures(name), "loss", "accuracy") == {
            "loss": pytest.approx(log_loss(y, prior.predict_proba(x), labels=[0, 1, 2])),
            "accuracy": pytest.approx(accuracy_score(y, prior.predict(x))),
        }


def test_the_training_mean_is_scored_in_the_targets_unit() -> None:
    """The rmse equals scikit-learn's for the mean; the loss is relative to the variance."""
    train, valid, test = (RNG.normal(50.0, 9.0, n) for n in (40, 15, 20))
    split = split_of("regression", train, valid, test)
    mean = DummyRegressor().fit(split.x_train, split.y_train)
    predictor = TrivialPredictor(Scorer(split, 0))
    for name in ("valid", "test"):
        x, y = getattr(split, f"x_{name}"), getattr(split, f"y_{name}")
        squared = mean_squared_error(y, mean.predict(x))
        assert some(predictor.figures(name), "loss", "rmse") == {
            "loss": pytest.approx(squared / np.var(split.y_train), rel=1e-4),
            "rmse": pytest.approx(squared**0.5, rel=1e-4),
        }


def test_a_class_without_a_training_row_has_a_finite_loss() -> None:
    """The loss is finite if given parts have a class without a training row."""
    split = split_of("classification", [0, 0, 1], [0, 1, 2], [2])
    assert np.isfinite(TrivialPredictor(Scorer(split, 3)).figures("test")["loss"])


def test_the_difference_is_over_rows_and_seeds() -> None:
    """It is the network's loss minus the shares' per row, averaged over seeds, with Student's
    interval over the rows."""
    split = split_of("classification", [0, 0, 0, 1], [0, 1], [0, 0, 1, 1, 0, 1])
    outputs = [RNG.normal(size=(6, 2)), RNG.normal(size=(6, 2))]
    found = trivial_document([trivial_run(Scorer(split, 2), each) for each in outputs])
    labels, shares = split.y_test, np.array([0.75, 0.25])
    losses = [
        -np.log((np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))[np.arange(6), labels])
        for z in outputs
    ]
    gaps = np.mean(losses, axis=0) + np.log(shares[labels])
    half = 2.570582 * gaps.std(ddof=1) / 6**0.5  # Student's t, 5 degrees of freedom
    assert found["difference"]["loss"] == {
        "mean": pytest.approx(gaps.mean()),
        "ci95": pytest.approx([gaps.mean() - half, gaps.mean() + half], rel=1e-5),
        "n": 6,
    }
    right = np.mean([z.argmax(axis=1) == labels for z in outputs])
    assert found["difference"]["accuracy"]["mean"] == pytest.approx(right - 0.5)
    assert found["test"]["accuracy"] == 0.5


def test_a_network_that_answers_the_mean_differs_by_nothing() -> None:
    """In regression, standardised outputs of 0 equal the trivial predictor."""
    split = split_of("regression", [1.0, 2.0, 3.0, 6.0], [2.0, 4.0], [1.0, 9.0, 4.0])
    found = trivial_document([trivial_run(Scorer(split, 0), np.zeros((3, 1), np.float32))])
    assert found["difference"] == {"loss": {"mean": 0.0, "ci95": (0.0, 0.0), "n": 3}}
