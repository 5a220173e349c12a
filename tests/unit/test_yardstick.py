"""The yardstick: scikit-learn's gradient boosting on a split, and reasons to leave it out."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error
from threadpoolctl import threadpool_limits

from trainstack.search.data.part import Part
from trainstack.search.data.splitting import Split, make_split
from trainstack.workers.tasks import yardstick as module
from trainstack.workers.tasks.metrics import Scorer
from trainstack.workers.tasks.yardstick import work, yardstick

RNG = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The models for comparison use one thread, like the yardstick."""
    with threadpool_limits(1, user_api="openmp"):
        yield


def split_of(task: str, classes: int = 3) -> Split:
    """Rows whose target depends on two of four features."""

    def part(rows: int) -> Part:
        x = RNG.normal(size=(rows, 4)).astype(np.float32)
        if task == "regression":
            return Part(x, (50 + 9 * x[:, 0] * x[:, 1]).astype(np.float32))
        return Part(x, (np.abs(x[:, 0] + x[:, 1]) * 1.5).astype(np.int32).clip(0, classes - 1))

    parts = [part(rows) for rows in (300, 80, 90)]
    return make_split(*parts, task=task, columns=("a", "b", "c", "d"), vocabulary={})


def test_a_classifier_is_scored_as_scikit_learn_scores_it() -> None:
    """Cross-entropy and accuracy equal scikit-learn's figures for its classifier."""
    split = split_of("classification")
    model = HistGradientBoostingClassifier(random_state=0).fit(split.x_train, split.y_train)
    found = yardstick(Scorer(split, 3), None, 1)
    assert found["model"] == "HistGradientBoostingClassifier"
    for name, x, y in (
        ("validation", split.x_valid, split.y_valid),
        ("test", split.x_test, split.y_test),
    ):
        loss = log_loss(y, model.predict_proba(x), labels=[0, 1, 2])
        assert found[name]["loss"] == pytest.approx(loss)
        assert found[name]["accuracy"] == accuracy_score(y, model.predict(x))


def test_a_regressor_is_scored_in_the_targets_unit() -> None:
    """The rmse equals that of scikit-learn's regressor in the target's unit, the loss its square
    over the training variance."""
    split = split_of("regression")
    model = HistGradientBoostingRegressor(random_state=0).fit(split.x_train, split.y_train)
    found = yardstick(Scorer(split, 0), None, 1)
    rmse = root_mean_squared_error(split.y_test, model.predict(split.x_test))
    assert found["model"] == "HistGradientBoostingRegressor"
    assert found["test"]["rmse"] == pytest.approx(rmse, rel=1e-3)
    assert found["test"]["loss"] == pytest.approx(rmse**2 / np.var(split.y_train), rel=2e-3)


def test_a_class_without_a_training_row_gets_no_probability() -> None:
    """The figures are finite if the training part lacks a class."""
    found = yardstick(Scorer(split_of("classification"), 4), None, 1)
    assert np.isfinite(found["test"]["loss"])


def test_the_cost_grows_with_rows_features_and_classes() -> None:
    """Two classes cost one tree per round, three cost three; few rows cost their histograms."""
    assert work(1000, 10, 2) == work(1000, 10, 0) == 60_000
    assert work(1000, 10, 3) == 180_000
    assert work(55_000, 784, 10) > module.MOST_WORK > work(1_150, 64, 10)


def test_above_the_bound_it_is_left_out_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Above the bound it is left out, in one line with the flag that requests it."""
    monkeypatch.setattr(module, "MOST_WORK", 1000)
    split = split_of("classification")
    assert yardstick(Scorer(split, 3), None, 1)["left_out"] == (
        "300 rows × 4 features × 3 classes take longer than about a minute; "
        "`launch --yardstick` asks for it"
    )
    assert "loss" in yardstick(Scorer(split, 3), True, 1)["test"]


def test_a_failure_is_reported_and_not_raised() -> None:
    """Any error of scikit-learn becomes the reason, in one line."""
    split = split_of("regression")
    split.y_train[0] = np.nan
    reason = yardstick(Scorer(split, 0), None, 1)["left_out"]
    assert reason.startswith("ValueError: Input y contains NaN")
    assert "\n" not in reason


@pytest.mark.parametrize("seconds", [0.0, 0.001])
def test_the_measurement_waits_a_bounded_time(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If training takes too long it is left out, even if requested."""
    over = threading.Event()
    monkeypatch.setattr(module, "_figures", lambda *given: over.wait())
    found = yardstick(Scorer(split_of("classification"), 3), True, 1, seconds)
    over.set()
    assert found == {
        "model": "HistGradientBoostingClassifier",
        "left_out": "it was not trained within 0 s",
    }
