"""A comparison with the default as a decision: its gain, its risk, and what would decide it.

The interval of a difference, corrected for all comparisons and looks, is that of a Student
distribution of the true difference: centre, scale and degrees of freedom. Everything here comes
from that one distribution, so it agrees with the interval and the verdict. With a single comparison
and a single look it is the posterior for a flat prior; corrected intervals make it wider.

Reference: Gelman et al., "Bayesian Data Analysis", 3rd edition, 2013, section 3.2 (a mean with
unknown variance); Raiffa and Schlaifer, "Applied Statistical Decision Theory", 1961 (its loss).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trainstack.search.evidence.comparisons import EQUIVALENCE_MARGIN, LEVEL, verdict
from trainstack.search.evidence.estimates import Estimate, Interval, Verdict
from trainstack.search.evidence.finite import finite
from trainstack.search.evidence.intervals import critical_t
from trainstack.search.json_values import OR_NULL
from trainstack.search.records import Run

# Chance that the seeds of `would_decide` decide, if the true difference is the one seen.
POWER = 0.8
# Most seeds worth mentioning.
MOST_SEEDS = 100


@dataclass(frozen=True)
class WouldDecide:
    """The runs that would probably decide an open comparison.

    Attributes:
        seeds: Further seeds of both stacks, about.
        seconds: Training time of these runs on one worker; null if unknown.
    """

    seeds: int
    seconds: float | None


@dataclass(frozen=True)
class Decision:
    """What choosing a stack instead of the chapter's default is worth.

    Attributes:
        stack_id: The stack that is compared with the default: the recommended one, or the best of
            the others if the default is recommended.
        gain: Share of the default's objective that it saves, below 0 if it is higher; null if that
            objective is not above 0.
        ci95: Interval of the gain, which holds together with those of all compared stacks; null
            without one.
        probability_better: Probability that it is better at all, in [0, 1]; null without an
            interval.
        probability_better_by_margin: The same, by at least the equivalence margin.
        expected_loss: Expected share of the default's objective that is lost by using it, counting
            0 where it is better; null if unknown.
        pairs_better: Paired runs in which its objective is lower.
        n_pairs: Number of paired runs.
        would_decide: Runs that would probably decide; null if it is decided, or if more than a
            hundred seeds would be needed.
    """

    stack_id: str
    gain: float | None = field(metadata=OR_NULL)
    ci95: Interval | None
    probability_better: float | None
    probability_better_by_margin: float | None
    expected_loss: float | None
    pairs_better: int
    n_pairs: int
    would_decide: WouldDecide | None


def decide(
    stack_id: str,
    difference: Estimate,
    mine: Mapping[int, Run],
    base: Mapping[int, Run],
    scale: float,
    resolution: float = 0.0,
) -> Decision:
    """Return a comparison with the default as a decision.

    Args:
        stack_id: The stack compared.
        difference: Its objective minus the default's, with its interval.
        mine: Its confirmation runs by seed index.
        base: Those of the default.
        scale: The default's mean objective, of which gains are shares.
        resolution: Least difference that means something (`Deciding.resolution`).
    """
    shared = sorted(mine.keys() & base.keys())
    lower = sum((mine[j].value or 0.0) < (base[j].value or 0.0) for j in shared)
    relative = difference.scaled(-1.0 / scale) if scale > 0.0 else Estimate(math.nan)
    margin = EQUIVALENCE_MARGIN * abs(scale)
    loss = expected_excess(difference)
    return Decision(
        stack_id=stack_id,
        gain=relative.mean if math.isfinite(relative.mean) else None,
        ci95=relative.ci95,
        probability_better=probability_below(difference, 0.0),
        probability_better_by_margin=probability_below(difference, -margin),
        expected_loss=None if loss is None or scale <= 0.0 else loss / scale,
        pairs_better=lower,
        n_pairs=len(shared),
        would_decide=would_decide(
            difference, scale, _seconds([*mine.values()], [*base.values()]), resolution
        ),
    )


def scale_of(difference: Estimate) -> tuple[float, float] | None:
    """Return scale and degrees of freedom of a difference's distribution.

    The scale is the interval's half-width over Student's quantile of a single interval. None
    without an interval.
    """
    if difference.ci95 is None or difference.freedom is None:
        return None
    low, high = difference.ci95
    half = max(high - difference.mean, difference.mean - low)
    return half / critical_t(difference.freedom, LEVEL), difference.freedom


def probability_below(difference: Estimate, bound: float) -> float | None:
    """Return the probability that the true difference is below a bound, in [0, 1].

    F((bound - mean) / scale), F the distribution function of Student's t. None without an interval.
    """
    from scipy import special

    found = scale_of(difference)
    if found is None:
        return None
    scale, freedom = found
    if scale == 0.0:
        return float(difference.mean < bound) if difference.mean != bound else 0.5
    return float(special.stdtr(freedom, (bound - difference.mean) / scale))


def expected_excess(difference: Estimate) -> float | None:
    """Return the expected positive part of the true difference, in units of the objective.

    E[max(m + sT, 0)] = m F(z) + s f(z) (d + z²) / (d - 1) with z = m / s, F and f the distribution
    function and density of Student's t with d degrees of freedom. None without an interval, and for
    d of 1 or less, where it is infinite.
    """
    from scipy import special

    found = scale_of(difference)
    if found is None or found[1] <= 1.0:
        return None
    (scale, freedom), mean = found, difference.mean
    if scale == 0.0:
        return max(mean, 0.0)
    z = mean / scale
    logs = special.gammaln((freedom + 1.0) / 2.0) - special.gammaln(freedom / 2.0)
    logs -= 0.5 * math.log(freedom * math.pi) + (freedom + 1.0) / 2.0 * math.log1p(z * z / freedom)
    density = math.exp(float(logs)) * (freedom + z * z) / (freedom - 1.0)
    return max(0.0, mean * float(special.stdtr(freedom, z)) + scale * density)


def would_decide(
    difference: Estimate, scale: float, seconds_per_seed: float | None, resolution: float = 0.0
) -> WouldDecide | None:
    """Return the further seeds that decide with probability POWER if the difference stays as seen.

    The interval's half-width shrinks with the root of the number n of pairs. It must end before 0,
    or within the equivalence margin, whichever comes first:
    n' = ((half · sqrt(n) + z · s) / distance)², s the deviation of one pair, z the normal quantile
    of POWER.

    Args:
        difference: The difference, with its interval.
        scale: The default's mean objective.
        seconds_per_seed: Training time of one further seed of both stacks.
        resolution: No number of seeds distinguishes differences smaller than this.

    Returns:
        None if it is decided, cannot be estimated, or needs more than MOST_SEEDS in all.
    """
    from scipy import special

    if difference.ci95 is None or verdict(difference, scale) is not Verdict.UNDECIDED:
        return None
    n, gap = difference.n, abs(difference.mean)
    half = max(difference.ci95[1] - difference.mean, difference.mean - difference.ci95[0])
    need = half * math.sqrt(n) + float(special.ndtri(POWER)) * (difference.deviation or 0.0)
    distance = max(gap, EQUIVALENCE_MARGIN * abs(scale) - gap)
    if distance <= resolution:
        return None
    ratio = need / distance
    if not ratio <= math.sqrt(MOST_SEEDS):  # nor if a spread of huge values is not finite
        return None
    seeds = max(1, math.ceil(ratio**2) - n)
    return WouldDecide(seeds, None if seconds_per_seed is None else seeds * seconds_per_seed)


def _seconds(*stacks: Sequence[Run]) -> float | None:
    """Return the mean training time of one seed of all stacks; None if a stack has none."""
    means = []
    for runs in stacks:
        found = finite(run.seconds.get("total") for run in runs)
        if not found:
            return None
        means.append(sum(found) / len(found))
    return sum(means)
