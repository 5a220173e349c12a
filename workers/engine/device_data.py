"""Data that stays on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import tensorflow as tf

from trainstack.search.data.inputs import Inputs


@dataclass(frozen=True)
class DeviceData:
    """A split on the device: x float32 [N, D] prepared; y int32 labels or float32 target.

    `inverse` holds the numbers of `trainstack.workers.engine.losses.inverted` if y_train are
    logarithms. `w_train` and `w_valid` are the rows' weights, float32 [N]; None: all are 1.
    `counts` are the numbers of training and validation rows if the parts are padded. `others` of
    the features, at the end, are no quantities; the last of them are `categories`, as in `Inputs`.
    `x_unlabelled` are prepared rows without a target, [U, D], for pretraining; None: none.
    """

    x_train: tf.Tensor
    y_train: tf.Tensor
    x_valid: tf.Tensor
    y_valid: tf.Tensor
    w_train: tf.Tensor | None = None
    w_valid: tf.Tensor | None = None
    inverse: tf.Tensor | None = None
    counts: tuple[int, int] | None = None
    others: int = 0
    categories: tuple[int, ...] = ()
    x_unlabelled: tf.Tensor | None = None

    @property
    def rows(self) -> tuple[int, int]:
        """Numbers of training and validation rows, without padding."""
        return self.counts or self.lengths

    @property
    def lengths(self) -> tuple[int, int]:
        """Lengths of the training and validation parts, with padding."""
        return cast(int, self.x_train.shape[0]), cast(int, self.x_valid.shape[0])

    @property
    def features(self) -> int:
        """Width of the input."""
        return cast(int, self.x_train.shape[1])

    @property
    def layout(self) -> Inputs:
        """What the features are."""
        return Inputs(self.features - self.others, self.others, self.categories)

    def head(self, rows: int) -> tf.Tensor:
        """Return the first `rows` training rows."""
        return self.x_train[: min(rows, self.rows[0])]

    def inputs(self, rows: np.ndarray) -> tf.Tensor:
        """Return the inputs of some training rows, by their places."""
        return tf.gather(self.x_train, rows)

    def runs(self, order: np.ndarray) -> Iterator[tuple[slice, Any, Any, Any]]:
        """Yield an epoch's steps with their rows, as `StreamedData.runs`: in a single run."""
        rows = order.ravel()
        parts = (self.x_train, self.y_train, self.w_train)
        x, y, w = (None if part is None else tf.gather(part, rows) for part in parts)
        yield slice(0, len(order)), x, y, w

    def validation(self) -> Iterator[tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]]:
        """Yield the validation part, as `StreamedData.validation`: in a single slice."""
        yield self.x_valid, self.y_valid, self.w_valid

    def padded(self, train: int, valid: int) -> DeviceData:
        """Return the same split with parts of at least these lengths, for one program of several.

        Padding is never trained on and has weight 0 in validation. Also a split that is long enough
        gets counts and weights, since a program is traced anew for data without them.

        Args:
            train: Length of the training part.
            valid: Length of the validation part.
        """
        w_valid = tf.ones(self.lengths[1]) if self.w_valid is None else self.w_valid
        return replace(
            self,
            x_train=lengthened(self.x_train, train),
            y_train=lengthened(self.y_train, train),
            w_train=None if self.w_train is None else lengthened(self.w_train, train),
            x_valid=lengthened(self.x_valid, valid),
            y_valid=lengthened(self.y_valid, valid),
            w_valid=lengthened(w_valid, valid),
            counts=self.rows,
        )

    @property
    def bytes(self) -> int:
        """Size on the device."""
        parts = (self.x_train, self.y_train, self.x_valid, self.y_valid, self.x_unlabelled)
        held = [part for part in parts if part is not None]
        return sum(part.dtype.size * int(part.shape.num_elements() or 0) for part in held)


def even_steps(length: int, most: int) -> np.ndarray:
    """Return the positions of at most `most` of `length` rows: every row, or every k-th."""
    return np.arange(0, length, -(-length // most))


def lengthened(tensor: Any, length: int) -> tf.Tensor:
    """Return a tensor [N, …] padded with zeros to [length, …], if it is shorter."""
    missing = max(0, length - cast(int, tensor.shape[0]))
    return tf.pad(tensor, [[0, missing], *[[0, 0]] * (tensor.shape.rank - 1)])
