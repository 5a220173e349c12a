"""The table of stopping rules, and the conditions for ending a plan early.

The weights of the best epoch are kept and restored under every rule. A schedule that holds its
rate high and then lowers it performs worst in the middle, so epochs without improvement count only
after the rate has come down. Lengths are shares of the plan, not epochs.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any, Protocol

from trainstack.spaces.choices import Choice, Parameter, table
from trainstack.spaces.schedules import SCHEDULES, patience_epochs

# The rate has come down when it is at most this share of its peak, or this many times its last
# value (docs/training-length.md).
COOL_SHARE = 0.1
NEAR_END = 1.5
# A rate of at least this share of the highest is at its peak.
PEAK_SHARE = 0.8
# Performance scheduling lowers its rate at least this often before patience ends.
LOWERINGS = 4
# Number of points of the plan at which a schedule is sampled.
GRID = 200
# Greatest heat: below a hundredth of the peak rate, the last steps no longer matter.
MOST_HEAT = 100.0

STOPPINGS: dict[str, Choice] = table(
    Choice(
        "patience",
        "after this share of the plan without a better validation loss, once the rate is down",
        (Parameter("share", 0.5, 0.01, 1.0),),
    ),
    Choice("none", "never: every planned epoch is trained"),
)


class Choices(Protocol):
    """The parts of a stack used here."""

    def __getitem__(self, key: str) -> Any: ...
    def numbers(self, axis: str) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Stopping:
    """When a run of one stack ends early.

    Attributes:
        from_epoch: Epochs without improvement are counted after this one (0: from the start).
        patience_epochs: Number of such epochs that ends the run.
    """

    from_epoch: int
    patience_epochs: int

    def ends(self, epoch: int, best_epoch: int) -> bool:
        """Return whether a run whose best epoch was `best_epoch` ends after `epoch`."""
        return epoch - max(best_epoch, self.from_epoch) >= self.patience_epochs


def stopping_of(stack: Choices, epochs: int) -> Stopping:
    """Return when a run of `epochs` planned epochs ends early; beyond the plan if never."""
    if stack["stopping"] == "none":
        return Stopping(0, epochs)
    patience = max(2, math.ceil(stack["stopping.share"] * epochs))
    if SCHEDULES[stack["schedule"]].reacts:
        patience = max(
            patience, LOWERINGS * patience_epochs(stack["schedule.patience"], epochs) + 1
        )
    return Stopping(math.ceil(cool_from(stack) * epochs), patience)


def cool_from(stack: Choices) -> float:
    """Return the share of the plan after which the rate has come down once, in [0, 1].

    A schedule that rises again, such as `coslog`, has come down at the end of its first cycle.
    """
    factors = _factors(stack["schedule"], tuple(stack.numbers("schedule").items()))
    peak = max(factors)
    limit = max(COOL_SHARE * peak, NEAR_END * factors[-1])
    warm = next(k for k, factor in enumerate(factors) if factor >= PEAK_SHARE * peak)
    hot = itertools.takewhile(lambda k: factors[k] > limit, range(warm, GRID))
    return (warm + sum(1 for _ in hot)) / GRID if peak > limit else 0.0


def heat(stack: Choices, share: float) -> float:
    """Return the factor by which the rate will still fall after a share of the plan, 1 to 100.

    A constant rate has heat 1, as does performance scheduling, whose changes are not planned.
    """
    factors = _factors(stack["schedule"], tuple(stack.numbers("schedule").items()))
    still = factors[min(GRID - 1, int(share * GRID)) :]
    return max(1.0, min(MOST_HEAT, max(still) / max(still[-1], 1.0 / MOST_HEAT)))


@functools.lru_cache(4096)  # repeated at every rung for all trials of the study
def _factors(schedule: str, numbers: tuple[tuple[str, float], ...]) -> list[float]:
    """Return the planned factors on the learning rate at equal steps through the plan."""
    factor, values = SCHEDULES[schedule].factor, dict(numbers)
    return [factor(step, GRID, values) for step in range(GRID)]
