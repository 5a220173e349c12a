"""Rows of a data set with their targets and weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Part(NamedTuple):
    """Rows and their targets.

    `x` is an array [N, D] or a pandas frame; `y` is an array [N], or [N, T] of several targets.
    `w` has the rows' weights, float64 [N], not negative; None: all are 1.
    """

    x: Any
    y: np.ndarray
    w: np.ndarray | None = None

    def of(self, rows: np.ndarray) -> Part:
        """Return some of the rows, by their positions or a mask."""
        x = self.x[rows] if isinstance(self.x, np.ndarray) else self.x.iloc[rows]
        return Part(x, self.y[rows], None if self.w is None else self.w[rows])

    def followed_by(self, other: Part) -> Part:
        """Return these rows, then those of another part of the same columns."""
        y = np.concatenate([self.y, other.y])
        w = None if self.w is None or other.w is None else np.concatenate([self.w, other.w])
        if isinstance(self.x, np.ndarray):
            return Part(np.concatenate([self.x, other.x]), y, w)
        import pandas as pd

        return Part(pd.concat([self.x, other.x], ignore_index=True), y, w)
