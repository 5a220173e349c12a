"""The variance of losses: each stack's own noise, moderated by that of the others.

A *table* is a mapping from a stack's id to its losses by seed index. Five losses estimate a spread
poorly (often off by a third), so the estimates of stacks are shrunk towards each other as far as
they are equally noisy; a stack that is clearly noisier than the others keeps its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

Table = Mapping[str, Mapping[int, float]]

# Fewer stacks cannot show which of them is noisier.
FEWEST_ROWS = 3
# Level of the F test by which a stack is clearly noisier than the others.
NOISIER = 0.01
# Most prior degrees of freedom of the others' noise: a table of few stacks cannot show that all are
# equally noisy, and real ones are not. With 3, the estimate from stacks on digits, intervals of
# equally noisy stacks are conservative (coverage 97.3 %) and less powerful.
MOST_WORTH = 20.0
# Least variance of a row as a fraction of the median row's, since its logarithm is taken.
_LEAST = 1e-5


@dataclass(frozen=True)
class Spread:
    """The noise of runs that neither stack nor seed explains.

    Attributes:
        variance: Of one run, pooled over the stacks that are not clearly noisier, in squared loss.
        freedom: Degrees of freedom of `variance`, 1 or more.
        rows: Stack's id → variance of its runs and degrees of freedom, where it differs from that.
    """

    variance: float
    freedom: float
    rows: Mapping[str, tuple[float, float]]

    def deviation(self, name: str) -> float:
        """Return the standard deviation of one run of a stack."""
        return math.sqrt(self.rows[name][0] if name in self.rows else self.variance)

    def of(self, weights: Mapping[tuple[str, int], float]) -> tuple[float, float]:
        """Return the variance of a weighted sum of losses, and its degrees of freedom.

        sum w² · variance of the stack, with Satterthwaite's degrees of freedom where stacks differ,
        at most those of the pooled variance.

        Args:
            weights: (stack's id, seed index) → weight.

        Reference: Satterthwaite, "An approximate distribution of estimates of variance
        components", 1946.
        """
        squares: dict[str, float] = {}
        for (name, _), weight in weights.items():
            squares[name] = squares.get(name, 0.0) + weight * weight
        common = sum(s for name, s in squares.items() if name not in self.rows) * self.variance
        parts = [
            (square * self.rows[n][0], self.rows[n][1])
            for n, square in squares.items()
            if n in self.rows
        ]
        total = common + sum(part for part, _ in parts)
        if total <= 0.0 or not parts:
            return total, self.freedom
        doubt = common**2 / self.freedom + sum(part**2 / freedom for part, freedom in parts)
        return total, min(total**2 / doubt, self.freedom)


def spread(table: Table) -> Spread | None:
    """Return the noise of a table of losses; None where no degree of freedom is left.

    Least squares of loss[i, j] = stack[i] + seed[j] + noise, a two-way layout without interaction
    that need not be complete. Its squared residuals, summed by stack, have expectations linear in
    the stacks' variances; solved for those, each stack has an unbiased variance of its own.

    - A stack with a greater variance by an F test at NOISIER keeps its own, and the others are
      analysed without it.
    - Each of the others has (d0 · s0² + d · own) / (d0 + d) with d0 + d degrees of freedom
      (empirical Bayes), and never less than the pooled ones. d0 decreases as they differ more
      than by chance, and is MOST_WORTH if they do not.
    - Fewer than FEWEST_ROWS stacks share one pooled variance.

    Reference: Scheffé, "The Analysis of Variance", 1959, chapter 4; Rao, "Estimation of
    heteroscedastic variances in linear models", 1970; Smyth, "Linear models and empirical Bayes
    methods for assessing differential expression in microarray experiments", 2004; Phipson et al.,
    "Robust hyperparameter estimation protects against hypervariable genes", 2016 (a stack that is
    an outlier is not moderated).
    """
    rows = {name: row for name, row in table.items() if len(row) > 1}
    fit = _fit(rows)
    if fit is None or len(fit.names) < FEWEST_ROWS:
        return fit and Spread(fit.pooled, fit.layout.freedom, {})
    noisy: dict[str, tuple[float, float]] = {}
    limits: list[float] = []
    # A very noisy stack can hide another: repeat without it.
    while len(fit.names) >= FEWEST_ROWS and (found := fit.noisier()):
        calm = _fit({name: row for name, row in rows.items() if name not in {**noisy, **found}})
        if calm is None:
            break
        limits += [float(fit.layout.limit[fit.names.index(name)]) for name in found]
        noisy |= found
        fit = calm
    pooled, counts = fit.pooled, fit.layout.counts
    # Clearly noisier stacks enter at the limit of the others (winsorized).
    variances = np.array([*fit.mixed, *(limit * pooled for limit in limits)])
    prior = _prior(variances, np.array([*counts, *(freedom for _, freedom in noisy.values())]))
    if prior is None:
        return Spread(pooled, fit.layout.freedom, noisy)
    centre, worth = prior
    moderated = np.maximum((worth * centre + counts * fit.own) / (worth + counts), pooled)
    each = zip(fit.names, moderated.tolist(), (worth + counts).tolist(), strict=True)
    return Spread(pooled, fit.layout.freedom, {**{n: (v, f) for n, v, f in each}, **noisy})


@dataclass(frozen=True)
class _Fit:
    """A two-way layout fitted to rows: `names` of those that leave residuals, squares of all."""

    names: list[str]
    squares: np.ndarray
    layout: _Layout

    @property
    def pooled(self) -> float:
        """One variance for all stacks."""
        return float(self.squares.sum()) / self.layout.freedom

    @property
    def own(self) -> np.ndarray:
        """Unbiased variance of each stack, at least 0."""
        return np.maximum(self.layout.unmix @ self.squares, 0.0)[self.layout.seen]

    @property
    def mixed(self) -> np.ndarray:
        """Mean squared residuals; each contains a little of all others, so none is near 0."""
        return (self.squares / self.layout.parts)[self.layout.seen]

    def noisier(self) -> dict[str, tuple[float, float]]:
        """Return variance and degrees of freedom of the clearly noisier stacks."""
        own, counts = self.own, self.layout.counts
        others = (own @ counts - own * counts) / (counts.sum() - counts)
        found = np.flatnonzero(own > others * self.layout.limit)
        return {self.names[k]: (float(own[k]), float(counts[k])) for k in found}


def _fit(rows: Table) -> _Fit | None:
    """Fit the layout; return None if no degree of freedom is left."""
    layout = _layout(tuple(tuple(row) for row in rows.values()))
    if layout is None:
        return None
    losses = np.array([y for row in rows.values() for y in row.values()], dtype=float)
    names = [*rows]
    squares = (layout.left @ losses) ** 2 @ layout.of_row
    return _Fit([names[k] for k in layout.seen], squares, layout)


@dataclass(frozen=True)
class _Layout:
    """The part of a layout that depends on stacks and seeds only, not on the losses.

    Attributes:
        left: Projection on the residuals [N, N].
        of_row: Membership of cells in rows, 0 or 1 [N, S].
        parts: Degrees of freedom that each row leaves [S].
        unmix: Rows' squared residuals → their unbiased variances [S, S].
        seen: Indices of the rows that leave any; a row that shares no seed leaves none.
        counts: Runs less one of those rows.
        limit: Ratio of a row's variance to the others' above which it is clearly noisier.
        freedom: Degrees of freedom of all together.
    """

    left: np.ndarray
    of_row: np.ndarray
    parts: np.ndarray
    unmix: np.ndarray
    seen: np.ndarray
    counts: np.ndarray
    limit: np.ndarray
    freedom: int


@lru_cache(maxsize=256)
def _layout(rows: tuple[tuple[int, ...], ...]) -> _Layout | None:
    """Return the layout of rows with these seeds; None if no degree of freedom is left."""
    from scipy import special

    cells = [(i, j) for i, seeds in enumerate(rows) for j in seeds]
    place = {j: k for k, j in enumerate(sorted({j for _, j in cells}))}
    of_row, of_seed = np.zeros((len(cells), len(rows))), np.zeros((len(cells), len(place)))
    for k, (i, j) in enumerate(cells):
        of_row[k, i] = of_seed[k, place[j]] = 1.0
    design = np.hstack([of_row, of_seed])
    left = np.eye(len(cells)) - design @ np.linalg.pinv(design)
    freedom = round(float(np.trace(left))) if cells else 0
    if freedom < 1:
        return None
    parts = np.diag(left) @ of_row
    seen = np.flatnonzero(parts > 1e-6)
    parts = np.maximum(parts, 1e-6)
    counts = (of_row.sum(axis=0) - 1.0)[seen]
    limit = special.fdtri(counts, np.maximum(freedom - counts, 1.0), 1.0 - NOISIER)
    unmix = np.linalg.pinv(of_row.T @ left**2 @ of_row)
    return _Layout(left, of_row, parts, unmix, seen, counts, limit, freedom)


def _prior(own: np.ndarray, counts: np.ndarray) -> tuple[float, float] | None:
    """Return centre and degrees of freedom of the inverse χ² distribution of stacks' variances.

    From the mean and variance of their logarithms (Smyth 2004, section 6.2); if the variances
    differ no more than those of equally noisy stacks, their mean. None if most are 0.
    """
    from scipy import optimize, special

    typical = float(np.median(own))
    if typical <= 0.0:
        return None
    half = counts / 2.0
    logs = np.log(np.maximum(own, _LEAST * typical)) - special.digamma(half) + np.log(half)
    excess = float(np.var(logs, ddof=1) - special.zeta(2.0, half).mean())
    if excess <= 0.0:
        return float(own @ counts / counts.sum()), MOST_WORTH
    root = optimize.root_scalar(
        lambda u: float(special.zeta(2.0, math.exp(u))) - excess, bracket=(-20.0, 20.0)
    ).root
    found = math.exp(root)
    centre = math.exp(float(logs.mean()) + float(special.digamma(found)) - root)
    return centre, min(2.0 * found, MOST_WORTH)
