"""Preparations of the network's inputs: fitted on the training rows, then applied to any rows.

The functions without a class are copied into exported scripts, so they use only NumPy and SciPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainstack.spaces.preparations import PREPARATIONS, STANDARD

# Rows at a time, so that no whole data set is held in float64.
BLOCK_ROWS = 4096
# Subtracting a number of more deviations than this in float32 loses digits of the difference.
_FAR = 1000.0
# Bound of `robust_clip`, and the greatest |z|: it is within 1e-11 of the bound.
LIMIT, FARTHEST = 3.0, 1e6
# Quantiles' shares are at least this and at most one minus this, as scikit-learn's.
LOWEST_SHARE = 1e-7
# Quantiles of a feature, at most.
MOST_LEVELS = 1000


@dataclass(frozen=True, eq=False)
class Linear:
    """(x - shift) / scale.

    Attributes:
        shift: One number per feature, float64 [D].
        scale: Likewise, above 0.
    """

    shift: np.ndarray
    scale: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the prepared rows, float64 [B, D]."""
        return (x - self.shift) / self.scale

    @property
    def precision(self) -> str:
        """The dtype of the inputs that keeps their digits."""
        return precision_of(self.shift, self.scale)


@dataclass(frozen=True, eq=False)
class RobustClip:
    """Median and quartiles, then a smooth bound: no value is beyond -3 or 3.

    Attributes:
        median: Median of each feature, float64 [D].
        scale: Distance of its quartiles, half its range if they coincide, infinite if it is
            constant (it is then 0 in every row); float64 [D].

    Reference: Holzmüller et al., "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
    Tabular Data", 2024, appendix A.
    """

    median: np.ndarray
    scale: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the prepared rows, float64 [B, D]."""
        return smooth_clip(x, self.median, self.scale)

    @property
    def precision(self) -> str:
        """The dtype of the inputs that keeps their digits."""
        return precision_of(self.median, self.scale)


@dataclass(frozen=True, eq=False)
class Quantiles:
    """Each feature's quantile among the training rows, as that of a normal distribution.

    It is scikit-learn's `QuantileTransformer(1000, output_distribution="normal", subsample=None)`
    but for three things. Features of at most two values, such as indicators and one-hot columns,
    have no shape to change and are standardised. scikit-learn gives values up to 1e-7 from the
    ends the ends' quantile; this would merge features in small units. Values are first rounded to
    `precision`, as an exported model reads them: equal values in training are equal there, too.

    Attributes:
        levels: Quantiles of each feature at equal steps from 0 to 1, float64 [Q, D].
        two_valued: Features with at most two values, bool [D].
        standard: Standardises those.
        precision: `float32` if it keeps the digits of all features, else `float64`.
    """

    levels: np.ndarray
    two_valued: np.ndarray
    standard: Linear
    precision: str

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the prepared rows, float64 [B, D]."""
        x = x.astype(self.precision)
        return np.where(self.two_valued, self.standard(x), normal_scores(x, self.levels))


Fitted = Linear | RobustClip | Quantiles


@dataclass(frozen=True, eq=False)
class WithCategories:
    """A preparation of all features but embedded categories, which stay 0 and 1.

    Attributes:
        others: Preparation of the others.
        embedded: Features of embedded categories, bool [D].
    """

    others: Fitted
    embedded: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the prepared rows, float64 [B, D]."""
        return np.where(self.embedded, x, self.others(x))

    @property
    def precision(self) -> str:
        """The dtype of the inputs that keeps their digits."""
        return self.others.precision


Preparation = Fitted | WithCategories


def fit(name: str, x_train: np.ndarray) -> Fitted:
    """Fit a preparation.

    Args:
        name: One of `PREPARATIONS`.
        x_train: Encoded, finite training rows, [N, D], N at least 1.

    Returns:
        A function of rows [B, D], float32 or float64, monotone in each feature.
    """
    return _FITS[name](x_train)


def _standard(x: np.ndarray) -> Linear:
    return Linear(*mean_and_scale(x))


def _unit(x: np.ndarray) -> Linear:
    low, high = (end.astype(np.float64) for end in (x.min(axis=0), x.max(axis=0)))
    return Linear(low, np.where(high > low, high - low, 1.0))


def _robust_clip(x: np.ndarray) -> RobustClip:
    return RobustClip(*median_and_scale(x))


def _quantiles(x: np.ndarray) -> Quantiles:
    standard = _standard(x)
    precision = standard.precision
    x = x.astype(precision, copy=False)
    return Quantiles(quantiles(x), two_valued(x), standard, precision)


def precision_of(shift: Any, scale: Any) -> str:
    """Return the dtype that keeps the digits of values around `shift` with deviation `scale`."""
    return "float64" if np.any(np.abs(shift) > _FAR * np.asarray(scale)) else "float32"


def median_and_scale(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each column's median and its quartiles' distance, which is made positive."""
    quartiles = [np.quantile(column.astype("float64"), (0.25, 0.5, 0.75)) for column in x.T]
    first, median, third = np.transpose(quartiles)
    half = (x.max(axis=0).astype("float64") - x.min(axis=0)) / 2
    scale = np.where(third > first, third - first, half)
    return median, np.where(scale > 0, scale, np.inf)


def smooth_clip(x: np.ndarray, median: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return z / sqrt(1 + (z/LIMIT)²) of z = (x - median) / scale."""
    z = np.clip((x - median) / scale, -FARTHEST, FARTHEST)  # its square must be finite
    return z / np.sqrt(1 + (z / LIMIT) ** 2)


def two_valued(x: np.ndarray) -> np.ndarray:
    """Return which columns have at most two values."""
    return ((x == x.min(axis=0)) | (x == x.max(axis=0))).all(axis=0)


def quantiles(x: np.ndarray) -> np.ndarray:
    """Return each column's quantiles at equal steps from 0 to 1."""
    shares = np.linspace(0, 1, min(MOST_LEVELS, max(2, len(x))))
    levels = np.stack([np.quantile(column.astype("float64"), shares) for column in x.T], axis=1)
    return np.maximum.accumulate(levels)


def normal_scores(x: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the normal distribution's quantile at the share of each number's column below it."""
    from scipy.special import ndtri

    shares = np.linspace(0, 1, len(levels))
    found = np.empty(x.shape)
    for k, (column, known) in enumerate(zip(x.T, levels.T, strict=True)):
        # Of several equal levels these are the last share and the first.
        last = np.interp(column, known, shares)
        first = -np.interp(-column, -known[::-1], -shares[::-1])
        inner = np.where(column < known[-1], (first + last) / 2, 1)
        found[:, k] = np.where(column > known[0], inner, 0)
    return ndtri(np.clip(found, LOWEST_SHARE, 1 - LOWEST_SHARE))


def mean_and_scale(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each column's mean and standard deviation (divisor N), 1 where it is constant.

    Args:
        x: Finite numbers, [N, D], N at least 1.

    Returns:
        Two float64 arrays, [D]; sums are computed in blocks of rows.
    """
    low, high = x.min(axis=0), x.max(axis=0)
    # Relative to a value of the column, so that large numbers do not lose precision in sums.
    offset = low.astype(np.float64)
    mean = np.zeros(x.shape[1])
    for start in range(0, len(x), BLOCK_ROWS):
        mean += (x[start : start + BLOCK_ROWS] - offset).sum(axis=0)
    mean = offset + mean / len(x)
    squares = np.zeros_like(mean)
    for start in range(0, len(x), BLOCK_ROWS):
        squares += np.square(x[start : start + BLOCK_ROWS] - mean).sum(axis=0)
    # Compared exactly: rounding would give a constant column a tiny, arbitrary scale.
    scale = np.where(low == high, 1.0, np.sqrt(squares / len(x)))
    return mean, scale


# Functions that repeat a preparation elsewhere, and the constants that they read.
FUNCTIONS: dict[str, tuple[Callable[..., Any], ...]] = {
    "robust_clip": (median_and_scale, smooth_clip),
    "quantile": (two_valued, quantiles, normal_scores),
}
CONSTANTS: dict[str, dict[str, float]] = {
    "robust_clip": {"LIMIT": LIMIT, "FARTHEST": FARTHEST},
    "quantile": {"MOST_LEVELS": MOST_LEVELS, "LOWEST_SHARE": LOWEST_SHARE},
}

_FITS: dict[str, Callable[[np.ndarray], Any]] = {
    STANDARD: _standard,
    "robust_clip": _robust_clip,
    "quantile": _quantiles,
    "unit": _unit,
}
assert _FITS.keys() == PREPARATIONS.keys()
