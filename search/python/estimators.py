"""Estimators after scikit-learn's contract, each fit of which is a study.

The contract: scikit-learn's developer guide, "Developing scikit-learn estimators".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import validation
from sklearn.utils.multiclass import check_classification_targets

from trainstack.search.python import fitting
from trainstack.search.python.fitting import Rows
from trainstack.spaces.errors import RequestError

# Its annotations say that data are texts.
validate_data: Any = validation.validate_data

# Checks of scikit-learn's that fail with real studies, and why; for `check_estimator`.
EXPECTED_FAILED_CHECKS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a fit divides the rows at random: a row of weight 2 is in one part of the data, two equal "
        "rows may be in two"
    ),
}


class StackEstimator(BaseEstimator):
    """What `StackClassifier` and `StackRegressor` share: they predict with a recommended stack.

    Frames are read like tables, with text, dates and missing values; arrays of numbers may have
    missing values, too. A fit divides the rows into parts for training, choosing and testing. It is
    kept as a study, so that the same fit again costs nothing, and its report can be read:
    `trainstack.open_study(estimator.study_)`.

    Of scikit-learn's own checks (`check_estimator`) one fails, which `EXPECTED_FAILED_CHECKS`
    names: `check_sample_weight_equivalence_on_dense_data`. A row of weight 2 is in one part of the
    data, while two equal rows may be in two parts.

    Args:
        trials: Number of search trials.
        epochs: Maximum epochs per trial; None: by the number of rows.
        folds: Folds of a trial; None: by the number of rows.
        replicates: Fresh seeds in the confirmation.
        seed: Random seed.
        workers: Local workers; None: one per core, at most 8.
        metric: The metric that decides: a name or a function; None: the loss.
        space: A `Space`, a name or a file; None: the default.
        timeout: Time limit of the search, such as `30m`.
        options: Further keywords of `trainstack.launch`.
        storage: URL of the database, as for `trainstack.launch`.
        progress: Whether to show the progress, as for `trainstack.launch`.

    Attributes:
        study_: Name of the study.
        answers_: The recommended model, as the bytes of its files.
        n_features_in_: Number of features.
        feature_names_in_: Names of a frame's columns.
    """

    _task = ""

    def __init__(
        self,
        trials: int = 40,
        epochs: int | None = None,
        folds: int | None = None,
        replicates: int = 5,
        seed: int = 0,
        workers: int | None = None,
        metric: Any = None,
        space: Any = None,
        timeout: Any = None,
        options: Any = None,
        storage: str | None = None,
        progress: bool = False,
    ) -> None:
        self.trials = trials
        self.epochs = epochs
        self.folds = folds
        self.replicates = replicates
        self.seed = seed
        self.workers = workers
        self.metric = metric
        self.space = space
        self.timeout = timeout
        self.options = options
        self.storage = storage
        self.progress = progress

    def __sklearn_tags__(self) -> Any:
        """Return the estimator's tags for scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True  # gaps are filled as in a table
        return tags

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return features and targets as they are learnt from, after scikit-learn's checks."""
        if isinstance(X, pd.DataFrame) and y is not None:
            validate_data(self, X, skip_check_array=True)
            if len(X) != len(y):
                raise ValueError(f"X has {len(X)} rows and y has {len(y)}")
            if len(X) < 2:
                raise ValueError(f"found {len(X)} sample(s), a minimum of 2 is required")
            return X, self._target(y)
        y = y if y is None else self._target(y)
        X, y = validate_data(
            self,
            X,
            y,
            dtype="numeric",
            ensure_all_finite="allow-nan",
            ensure_min_samples=2,
            y_numeric=self._task == "regression",
        )
        return self._features(X), y

    def _target(self, y: Any) -> np.ndarray:
        """Return targets [N] without gaps."""
        y = validation.column_or_1d(y, warn=True)
        if y.dtype.kind == "f":
            validation.assert_all_finite(y, input_name="y")
        elif y.dtype.kind == "O" and pd.isna(y).any():
            raise ValueError("Input y contains missing values.")
        if self._task == "regression" and y.dtype.kind in "mM":
            raise ValueError("y holds dates or times, and a regression needs numbers")
        return y

    def _features(self, X: np.ndarray) -> Any:
        """Return an array of numbers as it is, and as a table if it has gaps."""
        if np.isnan(X).any():
            return pd.DataFrame(X, columns=[f"x{k}" for k in range(X.shape[1])])
        return X

    def _used(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, np.ndarray, Any]:
        """Return the rows whose weight is above 0, and their weights; None: all count the same."""
        if sample_weight is None:
            return X, y, None
        weights = validation._check_sample_weight(sample_weight, X, ensure_non_negative=True)
        used = weights > 0
        if not used.any():
            raise ValueError("sample_weight: every weight is zero")
        return X[used], y[used], weights[used]

    def _learn(self, X: Any, y: np.ndarray, weights: Any) -> None:
        asked = {
            **{"trials": self.trials, "epochs": self.epochs, "folds": self.folds},
            **{"replicates": self.replicates, "seed": self.seed, "workers": self.workers},
            **{"metric": self.metric, "space": self.space, "timeout": self.timeout},
            **(self.options or {}),
        }
        rows = Rows(X, y, weights, self._task)
        found = fitting.learn(rows, asked, self.storage, bool(self.progress))
        self.study_, self.answers_ = found.study, found.answers

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the network's answers, [N, K]."""
        validation.check_is_fitted(self)
        table = self.answers_.model.reads_tables
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=False, skip_check_array=True)
            rows = X if table else validate_data(self, X, reset=False, dtype="numeric")
        else:
            rows = validate_data(
                *(self, X), reset=False, dtype="numeric", ensure_all_finite="allow-nan"
            )
            if table:
                usual = [f"x{k}" for k in range(rows.shape[1])]
                rows = pd.DataFrame(rows, columns=getattr(self, "feature_names_in_", usual))
            elif np.isnan(rows).any():
                raise ValueError("X contains NaN, and the rows of the fit had no gaps")
        try:
            return self.answers_.model.outputs(rows)
        except RequestError as error:
            raise ValueError(str(error)) from None


class StackClassifier(ClassifierMixin, StackEstimator):
    """A classifier; parameters and other attributes are those of `StackEstimator`.

        model = trainstack.StackClassifier(trials=40).fit(X, y)
        shares = model.predict_proba(X_new)

    Attributes:
        classes_: The classes, sorted.
    """

    _task = "classification"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> StackClassifier:
        """Search for the best stack for these rows, and keep its model.

        Args:
            X: Features: a frame, or numbers [N, F].
            y: Classes [N].
            sample_weight: Weights of the rows, [N], at least 0; rows of weight 0 are left out.

        Raises:
            ValueError: The rows are not as described, or of one class.
            TrainstackError: As for `trainstack.launch`.
        """
        X, y = self._checked(X, y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        X, codes, weights = self._used(X, codes, sample_weight)
        self._learnt, codes = np.unique(codes, return_inverse=True)
        if len(self._learnt) < 2:
            raise ValueError("y has rows of one class only: at least 2 classes are needed")
        self._learn(X, codes, weights)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each of `classes_`, [N, K].

        Raises:
            ValueError: The rows are not as those of the fit.
        """
        found = self._outputs(X)
        proba = np.zeros((len(found), len(self.classes_)))
        proba[:, self._learnt[[int(name) for name in self.answers_.data.classes]]] = found
        return proba

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, [N]."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


class StackRegressor(RegressorMixin, StackEstimator):
    """A regressor; parameters and attributes are those of `StackEstimator`.

        model = trainstack.StackRegressor(trials=40).fit(X, y)
        values = model.predict(X_new)

    Its `score` is R².
    """

    _task = "regression"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> StackRegressor:
        """Search for the best stack for these rows, and keep its model.

        Args:
            X: Features: a frame, or numbers [N, F].
            y: Targets [N].
            sample_weight: Weights of the rows, [N], at least 0; rows of weight 0 are left out.

        Raises:
            ValueError: The rows are not as described.
            TrainstackError: As for `trainstack.launch`.
        """
        X, y = self._checked(X, y)
        self._learn(*self._used(X, y.astype(np.float64), sample_weight))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the prediction for each row, [N].

        Raises:
            ValueError: The rows are not as those of the fit.
        """
        return self._outputs(X)[:, 0].astype(np.float64)
