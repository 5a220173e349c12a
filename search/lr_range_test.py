"""Reading a learning-rate range test: where the loss falls, and where it diverges.

Reference: Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Share of the whole fall of the loss after which learning counts as begun.
BEGUN = 0.1
# A smoothed loss this many times the lowest counts as diverging.
DIVERGING = 1.5
# A range narrower than a decade is not worth searching: it is widened downwards.
LEAST_DECADES = 1.0
# What a narrowed space says of itself: a study pins it, and two launches can be told apart.
NARROWED = "Its learning rates were narrowed by a range test on the study's data."
_SMOOTHING = 0.6


@dataclass(frozen=True)
class RangeTest:
    """What a range test of one optimizer found.

    Attributes:
        optimizer: Its name.
        rates: Learning rates tried, rising.
        losses: Validation loss after some steps at each (the last may be huge or NaN).
        stable: Largest rate of the chapter's descent (divide by three until it no longer
            diverges), or None if none was stable.
        low: Rate from which the loss falls.
        high: Largest rate worth searching.
    """

    optimizer: str
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    stable: float | None
    low: float
    high: float


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return the exponential moving average of losses, corrected for its start.

    s_k = (1 - a) · sum_j a^(k-j) x_j / (1 - a^(k+1)) with a = 0.6; a loss that is not finite ends
    it with infinity.
    """
    average, result = 0.0, []
    for k, loss in enumerate(losses):
        if not math.isfinite(loss):
            return [*result, *([math.inf] * (len(losses) - k))]
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        result.append(average / (1 - _SMOOTHING ** (k + 1)))
    return result


def read_range(
    optimizer: str, rates: Sequence[float], losses: Sequence[float], stable: float | None
) -> RangeTest:
    """Find the range of rates worth searching.

    Args:
        optimizer: Whose test.
        rates: Learning rates tried, rising.
        losses: Validation loss after some steps at each, same length.
        stable: Largest rate that the chapter's descent found stable.

    Returns:
        `low`: the first rate at which a tenth of the whole fall has happened. `high`: the last
        rate before the smoothed loss rises for good above 1.5 times its lowest, but not above
        the stable one. At least a decade lies between them.
    """
    curve = smoothed(losses)
    lowest = min(range(len(curve)), key=curve.__getitem__)
    top, bottom = curve[0], curve[lowest]
    begun = next((k for k, v in enumerate(curve) if v <= top - BEGUN * (top - bottom)), lowest)
    rising = (k for k in range(lowest, len(curve)) if curve[k] > DIVERGING * bottom)
    high = rates[max(lowest, next(rising, len(curve)) - 1)]
    if stable is not None:
        high = min(high, stable)
    low = min(rates[begun], high / 10**LEAST_DECADES)
    return RangeTest(optimizer, tuple(rates), tuple(losses), stable, low, high)


def searched(space: Mapping[str, Any]) -> list[str]:
    """Return the optimizers whose learning rate a space (as JSON) searches over a range."""
    arms = space["axes"]["optimizer"]
    return [name for name, arm in arms.items() if _is_range(arm.get("learning_rate"))]


def narrowed(space: Mapping[str, Any], tests: Sequence[RangeTest]) -> dict[str, Any]:
    """Return a space (as JSON) whose optimizers search only where their range test says.

    An arm whose range and test do not overlap by half a decade keeps its range: the test then
    contradicts the space, and a search should see both. The space says that it was narrowed.
    """
    document = copy.deepcopy(dict(space))
    for test in tests:
        domain = document["axes"]["optimizer"].get(test.optimizer, {}).get("learning_rate")
        if not _is_range(domain):
            continue
        low, high = (float(f"{end:.2g}") for end in (test.low, test.high))
        low, high = max(domain["low"], low), min(domain["high"], high)
        if low * 10**0.5 <= high:
            domain["low"], domain["high"] = low, high
    document["about"] = f"{document.get('about', '')} {NARROWED}".strip()
    return document


def is_narrowed(found: Mapping[str, Any], space: Mapping[str, Any]) -> bool:
    """True if `found` is `space` narrowed by some range tests, whatever these said."""
    expected = narrowed(space, [])
    for name in searched(space):
        mine = expected["axes"]["optimizer"][name]["learning_rate"]
        theirs = found["axes"]["optimizer"].get(name, {}).get("learning_rate")
        if _is_range(theirs) and mine["low"] <= theirs["low"] < theirs["high"] <= mine["high"]:
            mine |= {"low": theirs["low"], "high": theirs["high"]}
    return expected == found


def _is_range(domain: Any) -> bool:
    return isinstance(domain, Mapping) and "low" in domain
