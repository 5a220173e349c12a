"""Training on the logarithm of a target: when it is taken, and the way back to its unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import root_mean_squared_error

from trainstack.search.data.dataset import Dataset
from trainstack.search.data.load import load
from trainstack.search.data.sharing import obtain
from trainstack.search.data_spec import DataSpec
from trainstack.spaces.errors import RequestError
from trainstack.workers.tasks.metrics import Scorer
from trainstack.workers.tasks.trivial_predictor import TrivialPredictor
from trainstack.workers.tasks.yardstick import yardstick


def prices(folder: Path, transform: str = "log", **columns: Any) -> Dataset:
    """Load 200 rows whose logarithmic price depends on one feature; `columns` are replaced."""
    rng = np.random.default_rng(3)
    size = rng.normal(size=200)
    frame = pd.DataFrame({"size": size, "price": np.exp(10 + 1.5 * size + rng.normal(size=200))})
    frame.assign(**columns).to_csv(folder / "t.csv", index=False)
    return load(str(folder / "t.csv"), "price", "auto", transform=transform)


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (np.exp(np.random.default_rng(0).normal(0, 1.5, 200)), "log"),
        (np.random.default_rng(0).uniform(10.5, 100, 200), "none"),
        (np.random.default_rng(0).exponential(1, 200) ** 3 - 0.001, "none"),
        (-np.exp(np.random.default_rng(0).normal(0, 1.5, 200)), "none"),
        ([0.5, 1.5, 2.5, 1e9] * 50, "none"),
    ],
    ids=["skewed", "even", "not positive", "negative", "skewed even as logarithms"],
)
def test_auto_takes_the_logarithm_of_positive_skewed_numbers(
    price: Any, expected: str, tmp_path: Path
) -> None:
    """`auto` needs positive numbers that are skewed and whose logarithms are not."""
    dataset = prices(tmp_path, "auto", price=price)
    assert dataset.transform == expected
    assert any("logarithm" in note for note in dataset.notes) == (expected == "log")
    assert dataset.describe().target_transform == expected


def test_auto_does_not_look_at_the_test_part(tmp_path: Path) -> None:
    """Rows that would make the target skewed do not if they are for testing, nor the reverse."""
    even = np.linspace(1.0, 9.0, 200)
    tested = prices(tmp_path, price=even).division.positions(0)["test"]
    price = even.copy()
    price[tested] = np.geomspace(1, 1e6, len(tested))
    assert prices(tmp_path, "auto", price=price).transform == "none"
    price = np.geomspace(1, 1e4, 200)[np.random.default_rng(0).permutation(200)]
    price[tested] = np.linspace(1e3, 1e4, len(tested))
    assert prices(tmp_path, "auto", price=price).transform == "log"


def test_auto_leaves_classes_alone(tmp_path: Path) -> None:
    """A classification has no logarithm, and asking for one is refused."""
    classes = {"price": np.arange(200) % 3}
    assert prices(tmp_path, "auto", **classes).transform == "none"
    with pytest.raises(RequestError, match="--target-transform log for classes"):
        prices(tmp_path, "log", **classes)


def test_a_logarithm_of_numbers_that_are_not_positive_is_refused(tmp_path: Path) -> None:
    """One line names the target, the number of such values and the least."""
    price = np.arange(200.0) - 1.5
    with pytest.raises(RequestError) as caught:
        prices(tmp_path, price=price)
    assert "2 value(s) of the target 'price' are not positive (the least is -1.5)" in str(
        caught.value
    )


def test_a_transform_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """The message lists the transforms."""
    with pytest.raises(RequestError, match="one of auto, log, none"):
        prices(tmp_path, "sqrt")


def test_targets_are_trained_on_as_standardised_logarithms(tmp_path: Path) -> None:
    """Training targets have mean 0 and deviation 1 as logarithms; the others in their own unit."""
    split = prices(tmp_path).split(1)
    parts = split.prepared()
    logs = np.log(split.y_train)
    np.testing.assert_allclose(parts.y_train, (logs - logs.mean()) / logs.std(), rtol=1e-5)
    for part, own in ((parts.y_valid, split.y_valid), (parts.y_test, split.y_test)):
        np.testing.assert_allclose(
            part, (own - split.y_train.mean()) / split.y_train.std(), rtol=1e-5
        )


def test_outputs_return_to_the_targets_unit(tmp_path: Path) -> None:
    """Training targets as outputs give the targets; far outputs stop at five deviations."""
    split = prices(tmp_path).split(1)
    assert split.log is not None
    exact = split.log.in_unit((np.log(split.y_train) - split.log.mean) / split.log.scale)
    np.testing.assert_allclose(exact, split.y_train, rtol=1e-12)
    farthest = np.exp(split.log.mean + 5 * split.log.scale)
    np.testing.assert_allclose(split.log.in_unit(np.array([1e30])), farthest)


def test_the_same_data_untransformed_is_another_study(tmp_path: Path) -> None:
    """The transform is part of the description, not of the fingerprint, and workers apply it."""
    log, plain = (prices(tmp_path, transform).describe() for transform in ("log", "none"))
    assert log.fingerprint == plain.fingerprint
    assert log != plain

    def no_store() -> Any:
        raise AssertionError

    assert obtain(log, no_store, tmp_path).transform == "log"
    assert obtain(plain, no_store, tmp_path).transform == "none"


def test_a_description_without_a_transform_has_none() -> None:
    """An older study's data is not transformed."""
    assert DataSpec("a.csv", "y", "regression", "f", 3, ()).target_transform == "none"


def test_the_baselines_are_scored_in_the_targets_unit(tmp_path: Path) -> None:
    """Gradient boosting learns the logarithm, and both baselines have an rmse of the price."""
    split = prices(tmp_path).split(1)
    trivial = TrivialPredictor(Scorer(split, 0)).figures("test")
    mean = np.full(len(split.y_test), split.y_train.mean())
    assert trivial["rmse"] == pytest.approx(root_mean_squared_error(split.y_test, mean), rel=1e-6)
    logs = np.log(split.y_train)
    model = HistGradientBoostingRegressor(random_state=0)
    model.fit(split.x_train, ((logs - logs.mean()) / logs.std()).astype(np.float32))
    predicted = np.exp(model.predict(split.x_test) * logs.std() + logs.mean())
    found = yardstick(Scorer(split, 0), True, 1)["test"]
    assert found["rmse"] == pytest.approx(
        root_mean_squared_error(split.y_test, predicted), rel=1e-6
    )
