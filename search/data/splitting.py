"""The three parts as inputs of the network, with statistics of the training part only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trainstack.search.data.inputs import Inputs
from trainstack.search.data.kinds import MAX_CATEGORIES
from trainstack.search.data.preparation import (
    BLOCK_ROWS,
    Preparation,
    WithCategories,
    fit,
    mean_and_scale,
)
from trainstack.search.data.target_log import TargetLog
from trainstack.spaces.preparations import STANDARD

# Transforms of a regression's target for training.
NONE, LOG = "none", "log"


@dataclass(frozen=True, eq=False)
class Arrays:
    """Inputs [N, D]; targets int32 labels or numbers, [N], or [N, T] of several.

    Floats are float32 once prepared.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_valid: np.ndarray
    y_valid: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True, eq=False)
class Split(Arrays):
    """Encoded parts, not yet prepared, with the training part's statistics.

    Attributes:
        preparation: What prepares the inputs, fitted on the training part.
        prepared_as: Arguments of `prepared_by` that gave it.
        y_mean: Mean of the training targets in regression, of several float64 [T]; else 0.
        y_scale: Standard deviation of the training targets in regression, likewise; else 1.
        log: Scale of the target's logarithm if the network is trained on it; else None.
        feature_names: One per feature.
        encoder: The fitted scikit-learn transformer of a table, or None for arrays.
        w_train: Weights of the training rows, float64 [N]; None: all are 1.
        w_valid: Weights of the validation rows, in the same unit; None as above.
        w_test: Weights of the test rows, in the same unit; None as above.
        logarithmic: Whether a network predicts the logarithm of the standardised target.
        others: Features, at the end, that are indicators or categories, not quantities.
        categories: Number of features of each categorical column, the last of those.
        x_unlabelled: Rows without a target for pretraining, encoded, [U, D]; None: none.
    """

    preparation: Preparation
    prepared_as: tuple[str, int | None] = (STANDARD, None)
    y_mean: Any = 0.0
    y_scale: Any = 1.0
    log: TargetLog | None = None
    feature_names: tuple[str, ...] = ()
    encoder: Any = None
    w_train: np.ndarray | None = None
    w_valid: np.ndarray | None = None
    w_test: np.ndarray | None = None
    logarithmic: bool = False
    others: int = 0
    categories: tuple[int, ...] = ()
    x_unlabelled: np.ndarray | None = None

    @property
    def inputs(self) -> Inputs:
        """What the features are."""
        return Inputs(self.x_train.shape[1] - self.others, self.others, self.categories)

    def prepared_by(self, name: str, levels: int | None = None) -> Split:
        """Return this split with another preparation.

        Args:
            name: One of `PREPARATIONS`.
            levels: Columns of more categories are embedded, and stay 0 and 1; None: none are.
        """
        if (name, levels) == self.prepared_as:
            return self
        preparation = fit(name, self.x_train)
        if levels is not None and (columns := self.inputs.columns(levels)):
            embedded = np.zeros(self.x_train.shape[1], bool)
            for first, end in columns:
                embedded[first:end] = True
            preparation = WithCategories(preparation, embedded)
        return replace(self, preparation=preparation, prepared_as=(name, levels))

    def prepare(self, x: np.ndarray) -> np.ndarray:
        """Return the network's inputs, computed in float64 to keep precision.

        Args:
            x: Encoded inputs, [B, D].

        Returns:
            A new float32 array, [B, D].
        """
        result = np.empty(x.shape, np.float32)
        for start in range(0, len(x), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            result[block] = self.preparation(x[block])
        return result

    def prepared(self) -> Arrays:
        """Return new arrays with every feature prepared, and a regression's targets standardised.

        The training targets are those that the network is trained on, the others those that it is
        measured on. They differ if it is trained on the logarithm.
        """
        return Arrays(
            self.prepare(self.x_train),
            self.trained(self.y_train),
            self.prepare(self.x_valid),
            self.target(self.y_valid),
            self.prepare(self.x_test),
            self.target(self.y_test),
        )

    def target(self, y: np.ndarray) -> np.ndarray:
        """Return targets [N] for measuring: labels unchanged, numbers standardised."""
        if y.dtype.kind != "f":  # labels
            return y
        return ((y - self.y_mean) / self.y_scale).astype(np.float32)

    def trained(self, y: np.ndarray) -> np.ndarray:
        """Return targets [N] for training: as `target`, or the standardised logarithm."""
        return self.target(y) if self.log is None else self.log.standardised(y)

    def measurable(self, outputs: np.ndarray) -> np.ndarray:
        """Return a network's outputs on the scale of `target`; unchanged unless logarithms."""
        if self.log is None:
            return np.exp(outputs.astype(np.float64)) if self.logarithmic else outputs
        return (self.log.in_unit(outputs) - self.y_mean) / self.y_scale

    def each_target(self) -> tuple[Split, ...]:
        """Return a split for each of several targets; the split itself if there is one."""
        if self.y_train.ndim == 1:
            return (self,)
        return tuple(self._of_target(place) for place in range(self.y_train.shape[1]))

    def _of_target(self, place: int) -> Split:
        scale: dict[str, Any] = {}
        if self.y_train.dtype.kind == "f":
            scale = {"y_mean": float(self.y_mean[place]), "y_scale": float(self.y_scale[place])}
        if self.log is not None:
            scale["log"] = TargetLog(float(self.log.mean[place]), float(self.log.scale[place]))
        targets = {name: getattr(self, name)[:, place] for name in ("y_train", "y_valid", "y_test")}
        return replace(self, **targets, **scale)

    def each_output(self, outputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return a network's outputs for each target, as for that target alone.

        Args:
            outputs: Its outputs [N, K], or [N, T] for several targets.

        Returns:
            Of a single target the outputs; of a quantity its column [N, 1]; of a label the logits
            of its two values, [N, 2], whose softmax is the sigmoid of its column.
        """
        if self.y_train.ndim == 1:
            return (outputs,)
        columns = np.split(outputs, outputs.shape[1], axis=1)
        if self.y_train.dtype.kind == "f":
            return tuple(columns)
        return tuple(np.concatenate([np.zeros_like(z), z], axis=1) for z in columns)

    @property
    def inverse(self) -> np.ndarray:
        """Return (scale, shift, factor) of `measurable`, float32 [3, T].

        It is factor · (exp(scale · outputs + shift) - 1): in this form float32 keeps the digits of
        a target whose mean is far from zero.
        """
        assert self.log is not None
        shift, factor = self.log.mean - np.log(self.y_mean), self.y_mean / self.y_scale
        return np.array([self.log.scale, shift, factor], np.float32).reshape(3, -1)

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """Return a network's predictions, float64.

        Args:
            outputs: Its outputs [N, K]: logits, or the standardised target.

        Returns:
            Class probabilities [N, K], or predictions [N] in the target's unit. Of several targets
            the probability of each label's second value, or the predictions, [N, T].
        """
        outputs = outputs.astype(np.float64)
        if self.y_train.ndim > 1:
            each = zip(self.each_target(), self.each_output(outputs), strict=True)
            found = [part.predictions(column) for part, column in each]
            return np.stack([p[:, 1] if p.ndim > 1 else p for p in found], axis=1)
        if self.y_train.dtype.kind != "f":
            shares = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            return shares / shares.sum(axis=1, keepdims=True)
        return self.measurable(outputs)[:, 0] * self.y_scale + self.y_mean

    def weights(self, part: str) -> np.ndarray:
        """Return the weights of a part's rows (`train`, `valid` or `test`), [N]."""
        weights = getattr(self, f"w_{part}")
        return np.ones(len(getattr(self, f"y_{part}"))) if weights is None else weights


def make_split(
    train: Any,
    valid: Any,
    test: Any,
    *,
    task: str,
    columns: Sequence[str],
    numeric: Sequence[str] = (),
    has_missing: Sequence[str] = (),
    text: Sequence[str] = (),
    vocabulary: Mapping[str, Sequence[str]],
    transform: str = NONE,
    unlabelled: Any = None,
) -> Split:
    """Encode three parts with an encoder fitted on the first, and compute its statistics.

    The inputs' preparation is the standard one.

    Args:
        train: The training `Part`.
        valid: The validation `Part`.
        test: The test `Part`.
        task: `classification` or `regression`.
        columns: Names of the features, for arrays.
        numeric: Numeric columns, for tables.
        has_missing: Those of them that get an indicator of missing values.
        text: Columns of categories, for tables.
        vocabulary: The known categories of each text column.
        transform: `log` if a regression is trained on the logarithm of its target, else `none`.
        unlabelled: Inputs of rows without a target, to which nothing is fitted; or None.
    """
    encoder = None
    names = tuple(columns)
    inputs = [train.x, valid.x, test.x, *(() if unlabelled is None else (unlabelled,))]
    if numeric or text:
        from trainstack.search.data.encoding import make_encoder

        encoder = make_encoder(numeric, has_missing, text, [vocabulary[name] for name in text])
        encoder.fit(train.x)
        inputs = [encoder.transform(x) for x in inputs]
        names = tuple(str(name) for name in encoder.get_feature_names_out())
    x_train, x_valid, x_test, *others = (
        np.asarray(x, np.float64 if x.dtype == np.float64 else np.float32) for x in inputs
    )
    y_mean, y_scale, log = 0.0, 1.0, None
    if task == "regression":
        y_mean, y_scale = _target_scale(train.y)
        log = TargetLog(*_target_scale(np.log(train.y))) if transform == LOG else None
    return Split(
        x_train,
        train.y,
        x_valid,
        valid.y,
        x_test,
        test.y,
        preparation=fit(STANDARD, x_train),
        y_mean=y_mean,
        y_scale=y_scale,
        log=log,
        feature_names=names,
        encoder=encoder,
        w_train=train.w,
        w_valid=valid.w,
        w_test=test.w,
        others=0 if encoder is None else x_train.shape[1] - len(numeric),
        x_unlabelled=others[0] if others else None,
        categories=tuple(min(len(vocabulary[name]), MAX_CATEGORIES) for name in text),
    )


def _target_scale(y: np.ndarray) -> tuple[Any, Any]:
    """Return mean and standard deviation of targets: numbers, or arrays [T] for several."""
    if y.ndim > 1:
        return mean_and_scale(y)
    mean, scale = mean_and_scale(y[:, None])
    return float(mean[0]), float(scale[0])
