"""Evaluation of a learning-rate range test: where the loss falls, and where it diverges.

Reference: Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainstack.search.json_values import OR_NULL

# Share of the total decrease of the loss after which learning counts as begun.
BEGUN = 0.1
# A smoothed loss above this multiple of the lowest counts as diverging.
DIVERGING = 1.5
# Least width of a range in decades; a narrower one is extended downwards.
LEAST_DECADES = 1.0
# Appended to the description of a narrowed space, which is stored in the study's spec.
NARROWED = "Its learning rates were narrowed by a range test on the study's data."
_SMOOTHING = 0.6


@dataclass(frozen=True)
class RangeTest:
    """Result of a range test of one optimizer.

    Attributes:
        optimizer: Name of the optimizer.
        rates: Learning rates tried, rising.
        losses: Validation loss after some steps at each rate (the last may be huge or NaN).
        stable: Largest rate found stable by the chapter's procedure (divide by three until it
            no longer diverges); null if none was.
        low: Lowest rate worth searching, from which the loss falls.
        high: Highest rate worth searching.
    """

    optimizer: str
    rates: tuple[float, ...]
    losses: tuple[float, ...] = field(metadata=OR_NULL)
    stable: float | None
    low: float
    high: float


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return the exponential moving average of losses, corrected for its start.

    s_k = (1 - a) · sum_j a^(k-j) x_j / (1 - a^(k+1)) with a = 0.6; from the first loss that
    is not finite, the result is infinity.
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
        optimizer: Name of the optimizer.
        rates: Learning rates tried, rising.
        losses: Validation loss after some steps at each, same length.
        stable: Largest stable rate; see `RangeTest`.

    Returns:
        `low`: the first rate at which a tenth of the total decrease is reached. `high`: the last
        rate before the smoothed loss exceeds 1.5 times its lowest, but not above the stable one.
        At least a decade lies between them.
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
    """Return the optimizers whose learning rate is a range in a space (as JSON)."""
    arms = space["axes"]["optimizer"]
    return [name for name, arm in arms.items() if _is_range(arm.get("learning_rate"))]


def narrowed(space: Mapping[str, Any], tests: Sequence[RangeTest]) -> dict[str, Any]:
    """Return a space (as JSON) with learning rates narrowed to the results of range tests.

    If range and test overlap by less than half a decade, they contradict each other, and the arm
    keeps its range. The space's description notes the narrowing.
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
    """Return whether `found` is `space` narrowed by range tests of any result."""
    expected = narrowed(space, [])
    for name in searched(space):
        mine = expected["axes"]["optimizer"][name]["learning_rate"]
        theirs = found["axes"]["optimizer"].get(name, {}).get("learning_rate")
        if _is_range(theirs) and mine["low"] <= theirs["low"] < theirs["high"] <= mine["high"]:
            mine |= {"low": theirs["low"], "high": theirs["high"]}
    return expected == found


def _is_range(domain: Any) -> bool:
    return isinstance(domain, Mapping) and "low" in domain
