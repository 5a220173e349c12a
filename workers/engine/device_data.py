"""Data that stays on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import tensorflow as tf


@dataclass(frozen=True)
class DeviceData:
    """A split on the device: x float32 [N, D] standardised; y int32 labels or float32 target.

    `inverse` holds the numbers of `trainstack.workers.engine.losses.inverted` if y_train are
    logarithms. `w_train` and `w_valid` are the rows' weights, float32 [N]; None: all are 1.
    """

    x_train: tf.Tensor
    y_train: tf.Tensor
    x_valid: tf.Tensor
    y_valid: tf.Tensor
    w_train: tf.Tensor | None = None
    w_valid: tf.Tensor | None = None
    inverse: tf.Tensor | None = None

    @property
    def rows(self) -> tuple[int, int]:
        """Numbers of training and validation rows."""
        return cast(int, self.x_train.shape[0]), cast(int, self.x_valid.shape[0])

    @property
    def features(self) -> int:
        """Width of the input."""
        return cast(int, self.x_train.shape[1])

    def head(self, rows: int) -> tf.Tensor:
        """Return the first `rows` training rows."""
        return self.x_train[:rows]

    @property
    def bytes(self) -> int:
        """Size on the device."""
        parts = (self.x_train, self.y_train, self.x_valid, self.y_valid)
        return sum(part.dtype.size * int(part.shape.num_elements() or 0) for part in parts)
