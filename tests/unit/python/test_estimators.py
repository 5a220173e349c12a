"""The estimators after scikit-learn's contract, with a simple model in place of a study."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from sqlalchemy import make_url

import trainstack
from trainstack.search.python import fitting
from trainstack.search.python.estimators import EXPECTED_FAILED_CHECKS
from trainstack.search.python.fitting import Learned, Rows, as_data
from trainstack.search.python.fitting import learn as of_a_study
from trainstack.search.python.study import Study

ESTIMATORS = (trainstack.StackClassifier, trainstack.StackRegressor)


@dataclass(frozen=True)
class Linear:
    """A linear model as `Model`: numbers, and of tables their numeric columns."""

    model: Any
    reads_tables: bool

    def outputs(self, rows: Any) -> np.ndarray:
        """Return probabilities [N, K], or predictions [N, 1]."""
        x = numbers(rows)
        if hasattr(self.model, "predict_proba"):
            return self.model.predict_proba(x)
        return self.model.predict(x)[:, np.newaxis]


@dataclass(frozen=True)
class Names:
    """Names of classes, as `DataSpec` has them."""

    classes: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """A model and the names of what it predicts."""

    model: Linear
    data: Names


def numbers(rows: Any) -> np.ndarray:
    """Return the numbers of rows, with 0 for gaps."""
    if isinstance(rows, pd.DataFrame):
        rows = rows.select_dtypes("number").to_numpy()
    return np.nan_to_num(np.asarray(rows, np.float64))


def learn(rows: Rows, options: Mapping[str, Any], *rest: Any) -> Learned:
    """Fit a linear model to what a study would get, without the rows that it would repeat."""
    model = LogisticRegression(C=1e3) if rows.task == "classification" else Ridge(1e-3)
    model.fit(numbers(rows.x), rows.y, sample_weight=rows.weights)
    names = tuple(str(k) for k in np.unique(rows.y)) if rows.task == "classification" else ()
    found = Linear(model, isinstance(rows.x, pd.DataFrame))
    return Learned("fit-none", Answers(found, Names(names)))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """No fit trains."""
    monkeypatch.setattr(fitting, "learn", learn)


CHECKS = [pair for kind in ESTIMATORS for pair in estimator_checks_generator(kind())]


@pytest.mark.parametrize(
    ("estimator", "check"),
    CHECKS,
    ids=[
        f"{type(e).__name__}-{getattr(c, 'func', c).__name__}-{k}"
        for k, (e, c) in enumerate(CHECKS)
    ],
)
def test_the_contract_holds(estimator: Any, check: Any) -> None:
    """Each of scikit-learn's own checks passes."""
    check(estimator)


def test_expected_failures_are_checks_that_are_made() -> None:
    """Each check that is excused for real studies is one of scikit-learn's, with a reason."""
    made = {getattr(check, "func", check).__name__ for _, check in CHECKS}
    assert made >= EXPECTED_FAILED_CHECKS.keys()
    assert all(EXPECTED_FAILED_CHECKS.values())


FLOWERS = load_iris()


@pytest.mark.thorough
def test_it_works_inside_of_scikit_learn() -> None:
    """A classifier works in a pipeline, in cross-validation and in a grid search."""
    pipe = make_pipeline(StandardScaler(), trainstack.StackClassifier())
    assert cross_val_score(pipe, FLOWERS.data, FLOWERS.target, cv=3).min() > 0.9
    grid = GridSearchCV(trainstack.StackClassifier(), {"epochs": [1, 2]}, cv=2)
    grid.fit(FLOWERS.data, FLOWERS.target_names[FLOWERS.target])
    assert grid.best_params_["epochs"] in (1, 2)
    assert grid.predict(FLOWERS.data[:1]) == ["setosa"]


def test_clones_and_pickles() -> None:
    """A clone has the parameters alone, spaces included; a pickle predicts as the original."""
    space = trainstack.Space.named("quick")
    fitted = trainstack.StackClassifier(trials=3, space=space).fit(FLOWERS.data, FLOWERS.target)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "classes_")
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(FLOWERS.data), fitted.predict_proba(FLOWERS.data))


def by_error(y: Any, p: Any, w: Any) -> float:
    """Return the share of wrong answers."""
    return np.average(p.argmax(axis=1) != y, weights=w)


def by_misses(y: Any, p: Any, w: Any) -> float:
    """Return the share of rows of class 1 that are missed."""
    return np.average((p[:, 1] < 0.5) & (y == 1), weights=w)


def test_a_fit_is_named_by_its_rows_and_options(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same rows, options and function give one study; another function gives another."""
    monkeypatch.setenv("TRAINSTACK_HOME", str(tmp_path))
    launched: list[dict[str, Any]] = []
    for name, stand_in in {
        "on_storage": lambda storage: make_url("postgresql://none"),
        "answers_of": lambda url, study: None,
        "launch": lambda path, target, **asked: launched.append(asked),
    }.items():
        monkeypatch.setattr(fitting, name, stand_in)
    monkeypatch.setattr(Study, "concluded", False)
    rows = Rows(FLOWERS.data, FLOWERS.target, None, "classification")
    names = [
        of_a_study(rows, {"trials": 2, "metric": metric}, None, False).study
        for metric in (by_error, by_error, by_misses, "accuracy")
    ]
    assert names[0] == names[1]
    assert len({*names}) == 3
    assert [asked["study"] for asked in launched] == names
    assert launched[0]["metric"].endswith(".py:by_error")


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_frames_keep_their_texts(kind: Any) -> None:
    """A frame with texts and gaps is learnt from as a table; names of its columns are checked."""
    frame = pd.DataFrame({"size": [1.0, None, 3.0, 4.0] * 8, "colour": ["red", "blue"] * 16})
    y = np.arange(32) % 2
    fitted = kind().fit(frame, y)
    assert fitted.answers_.model.reads_tables
    assert fitted.feature_names_in_.tolist() == ["size", "colour"]
    assert fitted.predict(frame).shape == (32,)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame.rename(columns={"size": "width"}))
    with pytest.raises(ValueError, match="y has 31"):
        kind().fit(frame, y[1:])


def test_gaps_in_an_array() -> None:
    """An array with gaps is learnt from as a table; without, it takes no gaps afterwards."""
    gaps = np.where(np.arange(600).reshape(150, 4) % 7, FLOWERS.data, np.nan)
    fitted = trainstack.StackClassifier().fit(gaps, FLOWERS.target)
    assert fitted.score(gaps, FLOWERS.target) > 0.5
    plain = trainstack.StackClassifier().fit(FLOWERS.data, FLOWERS.target)
    with pytest.raises(ValueError, match="contains NaN"):
        plain.predict(gaps)


def test_data_of_a_fit() -> None:
    """Rows become an archive or a table with target and weights under names of their own."""
    x, y = FLOWERS.data, FLOWERS.target
    data, asked = as_data(Rows(x, y, np.ones(150), "classification"))
    assert sorted(data) == ["w_train", "x_train", "y_train"]
    assert asked == {"task": "classification"}
    frame = pd.DataFrame({"target": x[:, 0], "weight": x[:, 1]})
    data, asked = as_data(Rows(frame, y, np.ones(150), "regression"))
    assert asked == {"task": "regression", "target": "target_", "weight": "weight_"}
    assert list(data.columns) == ["target", "weight", "target_", "weight_"]


@pytest.mark.parametrize("rows", [2, 9, 19])
def test_few_rows_are_in_every_part(rows: int) -> None:
    """Rows too few to hold some out are repeated, and used in every part, with a warning."""
    x, y = np.arange(2.0 * rows).reshape(rows, 2), np.arange(rows) % 2
    with pytest.warns(UserWarning, match=f"{rows} rows are too few"):
        data, _ = as_data(Rows(x, y, None, "classification"))
    for part in ("train", "valid", "test"):
        assert np.bincount(data[f"y_{part}"]).min() >= 7
        assert np.array_equal(np.unique(data[f"x_{part}"], axis=0), x)
    with pytest.warns(UserWarning, match="too few"):
        data, asked = as_data(Rows(pd.DataFrame(x, columns=["a", "b"]), y, None, "regression"))
    assert data.groupby(asked["part"]).size().min() >= 20


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
def test_a_gap_among_targets_is_refused(kind: Any, table: bool, gap: Any) -> None:
    """Rows without a target are neither a class of their own nor left out silently."""
    x = pd.DataFrame(FLOWERS.data) if table else FLOWERS.data
    for values in (FLOWERS.target.tolist(), ["a", "b", "c"] * 50):
        with pytest.raises(ValueError, match="Input y contains"):
            kind().fit(x, np.array([gap, *values[1:]], object))


def test_a_class_without_a_weight_has_no_probability() -> None:
    """It is among the classes, and rows of the others are learnt from."""
    weights = (FLOWERS.target != 1).astype(float)
    for x in (FLOWERS.data, pd.DataFrame(FLOWERS.data)):
        fitted = trainstack.StackClassifier().fit(x, FLOWERS.target, weights)
        assert fitted.classes_.tolist() == [0, 1, 2]
        found = fitted.predict_proba(x)
        assert not found[:, 1].any()
        assert (found.argmax(axis=1) == FLOWERS.target)[weights > 0].mean() > 0.9


def test_dates_are_no_quantity() -> None:
    """A regressor does not learn the nanoseconds of a date."""
    with pytest.raises(ValueError, match="dates or times"):
        trainstack.StackRegressor().fit(
            pd.DataFrame(FLOWERS.data), pd.date_range("2024", periods=150)
        )
