"""Paired differences with intervals that hold for the number of comparisons made.

Losses are compared pair by pair: two stacks trained with the same seed share the split, the batch
order and the luck of the draw, and their difference does not contain what they share. Everywhere
a *table* is a mapping from a stack's id to its losses by seed index.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Probability that all intervals of one family hold together.
LEVEL = 0.95

# Two stacks count as equivalent when the whole interval of their difference lies within this
# fraction of the baseline's loss. A twentieth: on the data sets we know that is at most half a
# point of accuracy, less than anybody would leave a well-understood default for; and it is
# relative, so that it means the same for a loss of 0.03 and for one of 3.
EQUIVALENCE_MARGIN = 0.05

Table = Mapping[str, Mapping[int, float]]
# Stack with the choice, stack with the alternative, their seed's index, and the loss difference.
Pair = tuple[str, str, int, float]


@dataclass(frozen=True)
class Estimate:
    """A mean and what is known about it.

    Attributes:
        mean: The mean; nan when there are no values.
        low: Lower end of the interval, or None where the values give none.
        high: Upper end, or None.
        n: Number of values (of pairs, for a difference).
        deviation: Standard deviation that the interval stands on, or None.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    deviation: float | None = None

    @property
    def ci95(self) -> list[float] | None:
        """Return [low, high], or None where there is no interval."""
        return None if self.low is None or self.high is None else [self.low, self.high]

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate in another unit: everything times `factor` (-1 turns it round)."""
        ends = sorted(end * factor for end in self.ci95 or ())
        low, high = ends or (None, None)
        deviation = None if self.deviation is None else abs(factor) * self.deviation
        return Estimate(self.mean * factor, low, high, self.n, deviation)


def critical_t(freedom: float, level: float = LEVEL, comparisons: int = 1) -> float:
    """Return how many standard errors an interval reaches on either side.

    t with P(|T| <= t) = 1 - (1 - level) / m, for T of Student's distribution and m comparisons
    (Bonferroni: whatever the m intervals have in common, all hold together at `level`).

    Args:
        freedom: Degrees of freedom, above 0.
        level: Probability that all intervals hold, in (0, 1).
        comparisons: Number of intervals that shall hold together, 1 or more.

    Reference: Dunn, "Multiple comparisons among means", 1961.
    """
    from scipy import stats

    return float(stats.t.isf((1.0 - level) / (2.0 * max(1, comparisons)), freedom))


def estimate(values: Sequence[float], level: float = LEVEL, comparisons: int = 1) -> Estimate:
    """Return the mean of independent values with Student's interval.

    mean ± t · s / sqrt(n), s² = sum (x - mean)² / (n - 1), t of n - 1 degrees of freedom.

    Args:
        values: Any number of finite values; fewer than two give no interval.
        level: Probability that all of the family's intervals hold.
        comparisons: Size of the family.

    Reference: Student, "The probable error of a mean", 1908.
    """
    n = len(values)
    if n == 0:
        return Estimate(math.nan)
    mean = float(np.mean(values))
    if n == 1:
        return Estimate(mean, n=1)
    deviation = float(np.std(values, ddof=1))
    half = critical_t(n - 1, level, comparisons) * deviation / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n, deviation)


def paired(
    first: Mapping[int, float],
    second: Mapping[int, float],
    level: float = LEVEL,
    comparisons: int = 1,
) -> Estimate:
    """Return the mean difference first - second over the keys they share, with its interval.

    The paired t interval: `estimate` of the differences. On losses a negative difference speaks
    for `first`.
    """
    shared = sorted(first.keys() & second.keys())
    return estimate([first[k] - second[k] for k in shared], level, comparisons)


def residual(table: Table) -> tuple[float, int] | None:
    """Return the spread that neither stack nor seed explains, and its degrees of freedom.

    Least squares of loss[i, j] = stack[i] + seed[j] + noise; the spread is
    sqrt(sum residual² / (N - p)) with N losses and p independent coefficients: a two-way layout
    without interaction, which need not be complete.

    Returns:
        (deviation, degrees of freedom), or None where no degree of freedom is left.

    Reference: Scheffé, "The Analysis of Variance", 1959, chapter 4.
    """
    cells = [(s, j, y) for s, row in table.items() for j, y in row.items()]
    stacks = {s: k for k, s in enumerate(sorted({s for s, _, _ in cells}))}
    seeds = {j: len(stacks) + k for k, j in enumerate(sorted({j for _, j, _ in cells}))}
    design = np.zeros((len(cells), len(stacks) + len(seeds)))
    for k, (s, j, _) in enumerate(cells):
        design[k, stacks[s]] = design[k, seeds[j]] = 1.0
    losses = np.array([y for _, _, y in cells], dtype=float)
    if not cells:
        return None
    fit, _, rank, _ = np.linalg.lstsq(design, losses, rcond=None)
    freedom = len(cells) - int(rank)
    if freedom < 1:
        return None
    return math.sqrt(float(np.sum((losses - design @ fit) ** 2)) / freedom), freedom


def compare(table: Table, reference: str, level: float = LEVEL) -> dict[str, Estimate]:
    """Return every stack's difference to `reference`, with intervals that hold together.

    difference ± t · s / sqrt(n) over the n seeds that the pair shares. With few seeds a pair's own
    spread is a poor guess (of 5 differences it is off by a third, as often as not), so s² pools
    what all stacks say: twice the squared `residual` of the table, with its degrees of freedom.
    A stack that is much noisier than the others would profit from that, so where the pair's own
    spread is the greater one by more than chance would easily have it (F test at 20 %), s is the
    pair's own. t is corrected for the number of stacks compared (`critical_t`), which also pays
    for having looked at all of them before choosing one.

    Args:
        table: Stack's id → loss by seed index.
        reference: The id that the others are compared with; it must be in the table.
        level: Probability that all the returned intervals hold together.

    Returns:
        Stack's id → estimate of its loss minus the reference's; the reference itself is left out.
    """
    others = [name for name in table if name != reference]
    pooled = residual(table)
    found: dict[str, Estimate] = {}
    for name in others:
        own = paired(table[name], table[reference])
        if pooled is None or own.n == 0:
            found[name] = Estimate(own.mean, n=own.n)
            continue
        deviation, freedom = math.sqrt(2.0) * pooled[0], pooled[1]
        if own.deviation is not None and _noisier(own.deviation, own.n - 1, deviation, freedom):
            deviation = own.deviation
        half = critical_t(freedom, level, len(others)) * deviation / math.sqrt(own.n)
        found[name] = Estimate(own.mean, own.mean - half, own.mean + half, own.n, deviation)
    return found


def contrast(pairs: Sequence[Pair], table: Table, comparisons: int = 1) -> Estimate:
    """Return the mean of a list of pairs, whichever stacks they are of, with its interval.

    mean ± t · s · sqrt(sum c²): the mean is a sum of losses, each times its coefficient c (a loss
    that stands in several pairs counts with its whole weight), and s is the `residual` of the
    table. Rows much noisier than the others (`calm`) have no say in s. Where the pairs' own spread
    from seed to seed is the greater one by more than chance would easily have it, or the table has
    nothing to say, the interval is Student's over the seeds' means.

    Args:
        pairs: The pairs; all of their losses stand in the table.
        table: All losses that share seeds with them.
        comparisons: Size of the family of intervals.

    Reference: Scheffé, "The Analysis of Variance", 1959, chapter 3 (contrasts).
    """
    by_seed: dict[int, list[float]] = {}
    weights: dict[tuple[str, int], float] = {}
    for first, second, seed, difference in pairs:
        by_seed.setdefault(seed, []).append(difference)
        for name, sign in ((first, 1.0), (second, -1.0)):
            weights[name, seed] = weights.get((name, seed), 0.0) + sign / len(pairs)
    own = estimate([sum(row) / len(row) for _, row in sorted(by_seed.items())], LEVEL, comparisons)
    pooled = residual(calm(table))
    if pooled is None or own.n == 0:
        return own
    mean = sum(difference for *_, difference in pairs) / len(pairs)
    error = pooled[0] * math.sqrt(sum(w * w for w in weights.values()))
    if own.deviation is not None:
        scale = math.sqrt(own.n)
        if _noisier(own.deviation, own.n - 1, error * scale, pooled[1]):
            return own
    half = critical_t(pooled[1], LEVEL, comparisons) * error
    return Estimate(mean, mean - half, mean + half, own.n, error * math.sqrt(own.n))


def calm(table: Table, times: float = 2.0) -> dict[str, Mapping[int, float]]:
    """Return the rows whose spread is at most `times` the median row's.

    A choice that hardly trains is noisy, too; it should not blur what the others show. Of equally
    noisy rows of five seeds this leaves out 1 in 300.
    """
    spreads = {
        name: np.std(list(row.values()), ddof=1) for name, row in table.items() if len(row) > 1
    }
    limit = times * float(np.median(list(spreads.values()))) if spreads else 0.0
    return {name: table[name] for name, spread in spreads.items() if spread <= limit}


def _noisier(own: float, own_freedom: int, pooled: float, freedom: int) -> bool:
    """Tell whether a pair's spread is greater than the pooled one by more than chance has it.

    F test of two variances at 20 %, one-sided; the two share data, so it is approximate.
    """
    from scipy import stats

    if pooled <= 0.0:
        return own > 0.0
    return (own / pooled) ** 2 > float(stats.f.isf(0.20, own_freedom, freedom))


def seed_deviation(table: Table) -> float | None:
    """Return the standard deviation of one stack's loss over seeds, pooled over the stacks.

    sqrt(sum_i sum_j (loss[i, j] - mean[i])² / sum_i (n_i - 1)): what one run's loss strays from
    its stack's mean, the split's luck included. None where no stack has two runs.
    """
    rows = [np.array(list(row.values()), dtype=float) for row in table.values() if len(row) > 1]
    if not rows:
        return None
    squares = sum(float(np.sum((row - row.mean()) ** 2)) for row in rows)
    return math.sqrt(squares / sum(len(row) - 1 for row in rows))


def optimism(search_value: float | None, confirmed: float, deviation: float | None) -> float | None:
    """Return the search's score minus the confirmed one, in seed standard deviations.

    On a loss a search that flattered itself gives a negative number: it promised less loss than
    fresh seeds found. None where either score or the deviation is missing.
    """
    if search_value is None or not deviation or not math.isfinite(confirmed):
        return None
    return (search_value - confirmed) / deviation


def verdict(difference: Estimate, scale: float, margin: float = EQUIVALENCE_MARGIN) -> str:
    """Return what an interval of a loss difference says of the first stack.

    Args:
        difference: Loss of the stack minus loss of what it is compared with.
        scale: Loss that the margin is a fraction of (the baseline's mean).
        margin: Equivalence margin, a fraction of `scale`.

    Returns:
        `better` or `worse` when the interval leaves out 0; else `equivalent` when it lies within
        ± margin · scale; else `undecided`, as when there is no interval.
    """
    if difference.low is None or difference.high is None:
        return "undecided"
    if difference.high < 0.0:
        return "better"
    if difference.low > 0.0:
        return "worse"
    widest = max(-difference.low, difference.high)
    return "equivalent" if widest <= margin * abs(scale) else "undecided"
