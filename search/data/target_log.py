"""The scale of a target's logarithm: training on it, and the way back to the target's unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# A predicted logarithm is at most this many deviations from its mean. The largest of a million
# normal numbers is 4.9 deviations away; without a limit, one prediction could exceed float32.
FARTHEST = 5.0


@dataclass(frozen=True, eq=False)
class TargetLog:
    """The scale of a target's natural logarithm.

    Attributes:
        mean: Mean of the logarithm over the training part; of several targets float64 [T].
        scale: Standard deviation of the logarithm over the training part, likewise; 1 if it is
            constant.
    """

    mean: Any
    scale: Any

    def standardised(self, y: np.ndarray) -> np.ndarray:
        """Return what a network is trained on for positive targets [N] or [N, T], in float32."""
        return ((np.log(y) - self.mean) / self.scale).astype(np.float32)

    def in_unit(self, outputs: np.ndarray) -> np.ndarray:
        """Return predictions in the target's own unit, float64, for a network's outputs.

        >>> TargetLog(mean=0.0, scale=2.0).in_unit(np.array([0.0, 0.5, 99.0])).round(1).tolist()
        [1.0, 2.7, 22026.5]
        """
        near = np.clip(np.asarray(outputs, np.float64), -FARTHEST, FARTHEST)
        return np.exp(near * self.scale + self.mean)
