"""Split-conformal intervals: predictions of quantities with a stated coverage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trainstack.spaces.errors import RequestError

# Residuals that are kept: of more rows, as many at equal steps of their ranks.
MOST_KEPT = 1000
# Coverage at which a study measures its models' intervals on the test rows.
COVERAGE = 0.9


@dataclass(frozen=True)
class Residuals:
    """Sizes of a model's errors on rows that it was not trained on.

    A new row's error is at most the k-th smallest of n with probability of at least k / (n + 1), if
    new rows are exchangeable with these.

    Attributes:
        rows: Number n of the rows.
        ranks: Ranks k of the errors that are kept, rising from 1 to n.
        sizes: For each target its errors of these ranks: |y - p|, in the target's unit.
        logarithmic: Whether they are errors of the logarithm, |log y - log p|.

    Reference: Lei et al., "Distribution-Free Predictive Inference for Regression", 2018.
    """

    rows: int
    ranks: tuple[int, ...]
    sizes: tuple[tuple[float, ...], ...]
    logarithmic: bool = False

    @classmethod
    def of(cls, y: np.ndarray, p: np.ndarray, logarithmic: bool = False) -> Residuals:
        """Return the residuals of predictions.

        Args:
            y: Targets, [N] or [N, T], N at least 1; positive for logarithms.
            p: Predictions, likewise.
            logarithmic: Whether to take logarithms, so that intervals are factors.
        """
        if logarithmic:
            y, p = np.log(y), np.log(np.maximum(p, np.finfo(np.float64).tiny))
        errors = np.sort(np.abs(y - p).reshape(len(y), -1), axis=0)
        kept = np.unique(np.linspace(1, len(y), min(len(y), MOST_KEPT)).round().astype(int))
        sizes = tuple(tuple(map(float, column)) for column in errors[kept - 1].T)
        return cls(len(y), tuple(map(int, kept)), sizes, logarithmic)

    def of_mean(self, predictions: np.ndarray) -> Residuals:
        """Return the errors of a mean of networks, if these are the errors of single ones.

        The mean of K networks has the squared error of one of them, less 1 - 1 / K of the variance
        of their predictions for a row, each as a mean over rows. All errors are scaled by the root
        of that share.

        Args:
            predictions: Those of each network for the same rows, [K, N] or [K, N, T]. The rows may
                be any that are like new ones; their targets are not needed.

        Reference: Krogh and Vedelsby, "Neural network ensembles, cross validation, and active
        learning", 1995.

        Example:
            >>> errors = Residuals.of(np.zeros(3), np.array([1.0, 2.0, 2.0]))  # 3 by mean square
            >>> errors.of_mean(np.array([[0.0, 4.0], [2.0, 2.0]])).sizes  # a variance of 2
            ((0.816496580927726, 1.632993161855452, 1.632993161855452),)
        """
        p = predictions.reshape(*predictions.shape[:2], -1)
        if self.logarithmic:
            p = np.log(np.maximum(p, np.finfo(np.float64).tiny))
        spread = p.var(axis=0, ddof=1).mean(axis=0) * (1.0 - 1.0 / len(p))
        sizes = np.array(self.sizes)
        whole = np.maximum((sizes**2).mean(axis=1), np.finfo(np.float64).tiny)
        share = np.sqrt(np.maximum(1.0 - spread / whole, 1.0 / len(p)))
        scaled = (sizes * share[:, None]).tolist()
        return replace(self, sizes=tuple(map(tuple, scaled)))

    def interval(self, p: np.ndarray, coverage: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper ends of intervals around predictions.

        Args:
            p: Predictions, [N] or [N, T].
            coverage: Probability that an interval holds its target, above 0 and below 1; that of
                each target alone.

        Raises:
            RequestError: There were too few rows for this coverage.

        >>> Residuals.of(np.array([1.0, 2, 3, 4]), np.zeros(4)).interval(np.zeros(1), 0.6)
        (array([-3.]), array([3.]))
        """
        wanted = math.ceil((self.rows + 1) * coverage - 1e-9)
        if wanted > self.rows:
            most = self.rows / (self.rows + 1)
            raise RequestError(
                f"--interval {coverage:g} with {self.rows} validation rows",
                f"at most {math.floor(most * 1000) / 1000:g}",
            )
        place = next(k for k, rank in enumerate(self.ranks) if rank >= wanted)
        width = np.array([column[place] for column in self.sizes])
        width = width[0] if p.ndim == 1 else width
        if self.logarithmic:
            return p * np.exp(-width), p * np.exp(width)
        return p - width, p + width

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Residuals:
        """Read a document made by `dataclasses.asdict`."""
        sizes = tuple(map(tuple, document["sizes"]))
        return cls(document["rows"], tuple(document["ranks"]), sizes, document["logarithmic"])


def check_coverage(coverage: float | None) -> None:
    """Reject a coverage that is not above 0 and below 1.

    Raises:
        RequestError: It is not.
    """
    if coverage is not None and not 0 < coverage < 1:
        raise RequestError(f"--interval {coverage:g}", "a number above 0 and below 1, such as 0.9")
