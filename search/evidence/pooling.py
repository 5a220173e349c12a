"""Effects pooled over data sets: a random-effects model whose unit is the data set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from trainstack.search.evidence.estimates import Estimate
from trainstack.search.evidence.intervals import critical_t

_STEPS = 200
_CLOSE = 1e-12


def pooled(effects: Sequence[float], variances: Sequence[float], comparisons: int = 1) -> Estimate:
    """Return the mean effect over data sets with its interval.

    effect[k] = mean + between[k] + within[k]; the variance between data sets is that of Paule and
    Mandel, the interval that of Hartung and Knapp with Student's t of K - 1 degrees of freedom, and
    never narrower than without their correction.

    Args:
        effects: Effect on each data set, [K].
        variances: Variance of each effect within its data set, [K], above 0.
        comparisons: Number of intervals that hold together.

    Returns:
        The mean; an interval for two data sets or more.

    Reference: Paule and Mandel, "Consensus values and weighting factors", 1982; Knapp and Hartung,
    "Improved tests for a random effects meta-regression", 2003 (the correction of at least 1).

    >>> found = pooled([-0.10, 0.02, -0.05, -0.20, -0.01], [0.001, 0.002, 0.0005, 0.004, 0.001])
    >>> round(found.mean, 4), found.n
    (-0.0605, 5)
    """
    y, v = np.asarray(effects, np.float64), np.asarray(variances, np.float64)
    if len(y) < 2:
        return Estimate(float(y[0]) if len(y) else math.nan, None, len(y))
    weights = 1.0 / (v + _between(y, v))
    mean = float((weights * y).sum() / weights.sum())
    freedom = len(y) - 1
    excess = float((weights * (y - mean) ** 2).sum()) / freedom
    deviation = math.sqrt(max(1.0, excess) / float(weights.sum()))
    half = critical_t(freedom, comparisons=comparisons) * deviation
    return Estimate(mean, (mean - half, mean + half), len(y), deviation)


def _between(y: np.ndarray, v: np.ndarray) -> float:
    """Return the variance between data sets: where the weighted squares equal K - 1, or 0."""

    def excess(between: float) -> float:
        weights = 1.0 / (v + between)
        mean = (weights * y).sum() / weights.sum()
        return float((weights * (y - mean) ** 2).sum()) - (len(y) - 1)

    if excess(0.0) <= 0.0:
        return 0.0
    low, high = 0.0, float(((y - y.mean()) ** 2).sum())
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0.0 else (low, middle)
        if high - low <= _CLOSE * high:
            break
    return high
