"""The table of learning-rate schedules: pure functions of the step.

A function returns the factor on the initial (1cycle, warm-up: the highest) learning rate.
Lengths are fractions of the planned steps, so that a schedule is independent of the fidelity. To
add one, add a row. The functions use `math` only, since exported scripts include their source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trainstack.spaces.choices import Choice, Parameter, table

Numbers = Mapping[str, float]


def constant(step: int, steps: int, p: Numbers) -> float:
    """Return 1."""
    return 1.0


def power(step: int, steps: int, p: Numbers) -> float:
    """Return 1 / (1 + t/s)^c with s = `length` · steps and c = `exponent`."""
    return 1.0 / (1.0 + step / (p["length"] * steps)) ** p["exponent"]


def exponential(step: int, steps: int, p: Numbers) -> float:
    """Return 0.1^(t/s) with s = `length` · steps: a tenth every s steps."""
    return 0.1 ** (step / (p["length"] * steps))


def piecewise(step: int, steps: int, p: Numbers) -> float:
    """Return 1, then `drop` from `first` · steps on, then drop² from `second` · steps on."""
    drops = (step >= p["first"] * steps) + (step >= p["second"] * steps)
    return p["drop"] ** drops


def one_cycle(step: int, steps: int, p: Numbers) -> float:
    """Return Smith's 1cycle: linear up for `rise` · steps from 1/`divide`, linear down to it again,
    and in the last tenth of the steps linearly down to a hundredth of that.

    Reference: Smith, "A disciplined approach to neural network hyper-parameters", 2018.
    """
    low, last = 1.0 / p["divide"], 0.1
    t, rise = step / steps, p["rise"]
    if t < rise:
        return low + (1.0 - low) * t / rise
    if t < 1.0 - last:
        return 1.0 + (low - 1.0) * (t - rise) / (1.0 - last - rise)
    return low + (0.01 * low - low) * min(1.0, (t - (1.0 - last)) / last)


def cosine(step: int, steps: int, p: Numbers) -> float:
    """Return linear warm-up for `warmup` · steps, then half a cosine down to 0.

    Reference: Loshchilov and Hutter, "SGDR", 2017.
    """
    warm = p["warmup"] * steps
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / (steps - warm)))


def linear(step: int, steps: int, p: Numbers) -> float:
    """Return linear warm-up for `warmup` · steps, then linear decay to 0."""
    warm = p["warmup"] * steps
    if step < warm:
        return (step + 1) / (warm + 1)
    return (steps - step) / (steps - warm)


def coslog(step: int, steps: int, p: Numbers) -> float:
    """Return (1 - cos(2π log₂(1 + (2^c - 1) t))) / 2 with t = step / steps and c = `cycles`.

    Each of the cycles from 0 to 1 and back takes twice the steps of the one before.

    Reference: Holzmüller et al., "Better by Default", 2024.
    """
    turns = math.log2(1.0 + (2.0 ** p["cycles"] - 1.0) * step / steps)
    return 0.5 * (1.0 - math.cos(2.0 * math.pi * turns))


def flat_cosine(step: int, steps: int, p: Numbers) -> float:
    """Return 1 for `flat` · steps, then half a cosine down to 0.

    Reference: Holzmüller et al., "Better by Default", 2024.
    """
    flat = p["flat"] * steps
    if step < flat:
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * (step - flat) / (steps - flat)))


def one_cycle_momentum(step: int, steps: int, p: Numbers) -> float:
    """Return 1cycle's momentum: 0.95 → 0.85 while the rate rises, back, then 0.95."""
    t, rise, last = step / steps, p["rise"], 0.1
    if t < rise:
        return 0.95 - 0.1 * t / rise
    if t < 1.0 - last:
        return 0.85 + 0.1 * (t - rise) / (1.0 - last - rise)
    return 0.95


def regularizer_strength(step: int, steps: int) -> float:
    """Return 1 in the first half of the steps, then half a cosine down to 0.

    Reference: Holzmüller et al., "Better by Default", 2024.
    """
    t = step / steps
    return 1.0 if t < 0.5 else 0.5 * (1.0 + math.cos(math.pi * (2.0 * t - 1.0)))


def patience_epochs(patience: float, epochs: int) -> int:
    """Return the patience of performance scheduling in epochs: a share of the plan, at least 1."""
    return max(1, round(patience * epochs))


@dataclass(frozen=True)
class Schedule(Choice):
    """A schedule of the learning rate.

    Attributes:
        factor: (step from 0, planned steps, numbers) → factor on the learning rate.
        reacts: True if the factor also shrinks by `factor` after the share `patience` of the plan
            without a better validation loss (performance scheduling).
        momentum: Schedule of the momentum for optimizers that allow it (1cycle), or None.
    """

    factor: Callable[[int, int, Numbers], float] = constant
    reacts: bool = False
    momentum: Callable[[int, int, Numbers], float] | None = None


_WARMUP = Parameter("warmup", 0.05, 0.0, 0.5)
_LENGTH = Parameter("length", 0.5, 0.01, 10.0)

SCHEDULES: dict[str, Schedule] = table(
    Schedule("constant", "the same rate throughout"),
    Schedule(
        "power", "1 / (1 + t/s)^c", (_LENGTH, Parameter("exponent", 1.0, 0.1, 3.0)), factor=power
    ),
    Schedule("exponential", "a tenth every s steps", (_LENGTH,), factor=exponential),
    Schedule(
        "piecewise",
        "constant, two drops",
        (
            Parameter("drop", 0.2, 0.001, 1.0),
            Parameter("first", 0.5, 0.0, 1.0),
            Parameter("second", 0.75, 0.0, 1.0),
        ),
        factor=piecewise,
    ),
    Schedule(
        "performance",
        "smaller when the validation loss has not improved for a share of the plan",
        (Parameter("factor", 0.5, 0.01, 0.99), Parameter("patience", 0.15, 0.001, 1.0)),
        reacts=True,
    ),
    Schedule(
        "1cycle",
        "the rate rises, falls and falls further; momentum does the opposite (Smith 2018)",
        (Parameter("divide", 10.0, 1.0, 1000.0), Parameter("rise", 0.45, 0.01, 0.89)),
        factor=one_cycle,
        momentum=one_cycle_momentum,
    ),
    Schedule("cosine", "warm-up, then half a cosine to zero", (_WARMUP,), factor=cosine),
    Schedule("linear", "warm-up, then a straight line to zero", (_WARMUP,), factor=linear),
    Schedule(
        "coslog",
        "from zero up and down, several times, each twice as long (Holzmüller et al. 2024)",
        (Parameter("cycles", 4, 1, 10, integer=True),),
        factor=coslog,
    ),
    Schedule(
        "flat_cosine",
        "flat, then half a cosine to zero (Holzmüller et al. 2024)",
        (Parameter("flat", 0.5, 0.0, 0.99),),
        factor=flat_cosine,
    ),
)

# Schedules of dropout and decay: `regularizer_strength` times their rates.
REGULARIZER_SCHEDULES: dict[str, Choice] = table(
    Choice("constant", "dropout and decay keep their strength"),
    Choice(
        "flat_cosine",
        "both fall to zero in the plan's second half, as half a cosine (Holzmüller et al. 2024)",
    ),
)
