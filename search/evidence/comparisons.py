"""Paired differences with simultaneous confidence intervals.

Losses are compared in pairs: two stacks trained with the same seed share the split and the batch
order, and these effects cancel in their difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from trainstack.search.evidence.deciding import range_of
from trainstack.search.evidence.estimates import Estimate, Verdict
from trainstack.search.evidence.intervals import critical_t
from trainstack.search.evidence.variance import Spread, Table, spread

# Probability that all intervals of a family hold simultaneously.
LEVEL = 0.95

# Two stacks are equivalent if the whole interval of their difference lies within this fraction of
# the baseline's loss. On the data sets we know, a twentieth is at most half a percentage point of
# accuracy, too little to leave a well-understood default for. The margin is relative, so that it
# suits a loss of 0.03 as well as one of 3.
EQUIVALENCE_MARGIN = 0.05

# Stack with the choice, stack with the alternative, their seed's index, and the loss difference.
Pair = tuple[str, str, int, float]


def score(values: Sequence[float], figure: str) -> Estimate:
    """Return the mean of a figure over seeds, its interval clipped to the figure's range.

    The true mean lies in that range, so clipping does not reduce the coverage.

    Args:
        values: One per seed.
        figure: `loss`, or the name of a metric.
    """
    value = estimate(values)
    if value.ci95 is None:
        return value
    (low, high), (least, most) = value.ci95, range_of(figure)
    return replace(value, ci95=(max(least, low), min(most, high)))


def estimate(values: Sequence[float], level: float = LEVEL, comparisons: int = 1) -> Estimate:
    """Return the mean of independent values with Student's interval.

    mean ± t · s / sqrt(n), s² = sum (x - mean)² / (n - 1), t of n - 1 degrees of freedom.

    Args:
        values: Any number of finite values; fewer than two give no interval.
        level: Probability that all intervals of the family hold.
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
    return Estimate(mean, (mean - half, mean + half), n, deviation, n - 1.0)


def paired(
    first: Mapping[int, float],
    second: Mapping[int, float],
    level: float = LEVEL,
    comparisons: int = 1,
) -> Estimate:
    """Return the mean difference first - second over shared keys, with its paired t interval.

    For losses a negative difference favours `first`.
    """
    shared = sorted(first.keys() & second.keys())
    return estimate([first[k] - second[k] for k in shared], level, comparisons)


def compare(
    table: Table, reference: str, level: float = LEVEL, resolution: float = 0.0
) -> dict[str, Estimate]:
    """Return every stack's difference to `reference`, with simultaneous intervals.

    The intervals are corrected for the number of stacks (`contrasts`), which also covers choosing
    one of them after seeing all.

    Args:
        table: Stack's id → loss by seed index.
        reference: Id of the stack to compare with; must be in the table.
        level: Probability that all returned intervals hold simultaneously.
        resolution: As for `contrasts`.

    Returns:
        Stack's id → estimate of its loss minus the reference's, without the reference itself.
    """
    base = table[reference]
    others = {
        name: [(name, reference, j, row[j] - base[j]) for j in sorted(row.keys() & base.keys())]
        for name, row in table.items()
        if name != reference
    }
    return dict(zip(others, contrasts([*others.values()], table, level, resolution), strict=True))


def contrasts(
    families: Sequence[Sequence[Pair]],
    table: Table,
    level: float = LEVEL,
    resolution: float = 0.0,
) -> list[Estimate]:
    """Return the mean of each list of pairs, with simultaneous intervals.

    Contrasts without pairs have no interval and are not counted. Correlation between contrasts
    makes the intervals narrower than a Bonferroni correction (Dunnett, with the smallest
    correlation of any two).

    Args:
        families: Pairs of each contrast; all their losses are in the table.
        table: All losses that share seeds with them.
        level: Probability that all returned intervals hold simultaneously.
        resolution: Least difference that means something (`Deciding.resolution`); each interval
            reaches at least as far to both sides of its mean. A coarse metric can be the same for
            every seed, and then shows no spread.
    """
    noise = spread(table)
    weights = [_weights(pairs) for pairs in families if pairs]
    common = _least_correlation(weights, noise) if noise is not None else None
    return [
        _widened(_measured(pairs, noise, level, len(weights), common), resolution)
        for pairs in families
    ]


def contrast(
    pairs: Sequence[Pair], table: Table, comparisons: int = 1, resolution: float = 0.0
) -> Estimate:
    """Return the mean of a list of pairs of any stacks, with its interval.

    It is one of `comparisons` contrasts, the others of which need not be known (Dunn's correction).
    `resolution` as for `contrasts`.
    """
    return _widened(_measured(pairs, spread(table), LEVEL, comparisons, None), resolution)


def _widened(value: Estimate, resolution: float) -> Estimate:
    """Return an estimate whose interval reaches at least `resolution` to both sides of its mean."""
    if value.ci95 is None or not resolution:
        return value
    low, high = value.ci95
    ends = min(low, value.mean - resolution), max(high, value.mean + resolution)
    return replace(value, ci95=ends)


def _measured(
    pairs: Sequence[Pair],
    noise: Spread | None,
    level: float,
    comparisons: int,
    correlation: float | None,
) -> Estimate:
    """Return a contrast with its interval, mean ± t · s.

    The mean is a weighted sum of losses (the weight of a loss in several pairs is the total); s² is
    its variance, from the noise of its stacks (`Spread.of`), or from the pairs' own spread if the
    table allows no estimate.

    Reference: Scheffé, "The Analysis of Variance", 1959, chapter 3 (contrasts).
    """
    if not pairs:
        return Estimate(math.nan)
    by_seed: dict[int, list[float]] = {}
    for _, _, seed, difference in pairs:
        by_seed.setdefault(seed, []).append(difference)
    own = estimate([sum(row) / len(row) for _, row in sorted(by_seed.items())], level, comparisons)
    if noise is None:
        return own
    variance, freedom = noise.of(_weights(pairs))
    mean = sum(difference for *_, difference in pairs) / len(pairs)
    half = critical_t(freedom, level, comparisons, correlation) * math.sqrt(variance)
    deviation = math.sqrt(variance * own.n)
    return Estimate(mean, (mean - half, mean + half), own.n, deviation, freedom)


def _weights(pairs: Sequence[Pair]) -> dict[tuple[str, int], float]:
    """Return the weight of each loss (stack, seed index) in the mean of pairs."""
    found: dict[tuple[str, int], float] = {}
    for first, second, seed, _ in pairs:
        for name, sign in ((first, 1.0), (second, -1.0)):
            found[name, seed] = found.get((name, seed), 0.0) + sign / len(pairs)
    return found


def _least_correlation(weights: Sequence[Mapping[tuple[str, int], float]], noise: Spread) -> float:
    """Return the smallest correlation of any two contrasts, at least 0.

    Contrasts without noise are left out: a metric such as accuracy can be the same for every seed.
    """
    weights = [{cell: w * noise.deviation(cell[0]) for cell, w in row.items()} for row in weights]
    weights = [row for row in weights if any(row.values())]
    norms = [math.sqrt(sum(w * w for w in row.values())) for row in weights]
    found = [
        sum(w * weights[k].get(cell, 0.0) for cell, w in weights[i].items()) / (norms[i] * norms[k])
        for i in range(len(weights))
        for k in range(i)
    ]
    # Rounded down, so that similar families share a cached critical value; below 1, which
    # `critical_t` needs.
    least = min(0.95, max(0.0, min(found, default=0.0)))
    return math.floor(20.0 * least + 1e-9) / 20.0


def seed_deviation(table: Table) -> float | None:
    """Return the standard deviation of one stack's loss over seeds, pooled over the stacks.

    sqrt(sum_i sum_j (loss[i, j] - mean[i])² / sum_i (n_i - 1)): the deviation of a run's loss from
    its stack's mean, including the effect of the split. None if no stack has two runs.
    """
    rows = [np.array(list(row.values()), dtype=float) for row in table.values() if len(row) > 1]
    if not rows:
        return None
    squares = sum(float(np.sum((row - row.mean()) ** 2)) for row in rows)
    return math.sqrt(squares / sum(len(row) - 1 for row in rows))


def optimism(search_value: float | None, confirmed: float, deviation: float | None) -> float | None:
    """Return the search's score minus the confirmed one, in seed standard deviations.

    For losses a negative number means an optimistic search: its loss was below that of fresh seeds.
    None if either score or the deviation is missing.
    """
    if search_value is None or not deviation or not math.isfinite(confirmed):
        return None
    return (search_value - confirmed) / deviation


def verdict(difference: Estimate, scale: float, margin: float = EQUIVALENCE_MARGIN) -> Verdict:
    """Return the verdict on a stack from the interval of a loss difference.

    Args:
        difference: Loss of the stack minus loss of the other one.
        scale: Loss of which the margin is a fraction (the baseline's mean).
        margin: Equivalence margin, a fraction of `scale`.

    Returns:
        `better` or `worse` if the interval excludes 0; else `equivalent` if it lies within
        ± margin · scale; else `undecided`, also without an interval.
    """
    if difference.ci95 is None:
        return Verdict.UNDECIDED
    low, high = difference.ci95
    if high < 0.0:
        return Verdict.BETTER
    if low > 0.0:
        return Verdict.WORSE
    within = max(-low, high) <= margin * abs(scale)
    return Verdict.EQUIVALENT if within else Verdict.UNDECIDED
