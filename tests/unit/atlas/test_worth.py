"""What single choices are worth, on made-up records."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.atlas.records import Run
from benchmarks.atlas.worth import worths


def run(data: str, name: str, valid: float, error: float) -> Run:
    """A run of a regression; one with an infinite loss diverged."""
    found = Run(data, f"realmlp/{name}", 0, {}, 1, "completed", 1, [valid], [valid], 10, (0.0, 0.0))
    if not math.isfinite(valid):
        return found
    return replace(found, valid={"loss": valid}, test={"loss": error**2, "rmse": error})


def arm(data: str, name: str, *cells: tuple[float, float]) -> list[Run]:
    """The runs of a variant at the three rates, with their validation losses and test errors."""
    rates = ("0.4", "1", "2.5")
    return [run(data, f"{name}@{r}", *cell) for r, cell in zip(rates, cells, strict=False)]


def test_both_arms_are_compared_at_the_rate_that_validation_prefers() -> None:
    """The mean change and its interval are Student's for the logarithms of the errors' ratios."""
    found = []
    errors = {"a": (1.0, 0.8), "b": (2.0, 1.9), "c": (4.0, 4.4)}
    for data, (base, other) in errors.items():
        found += arm(data, "same", (0.5, 9.0), (0.3, base), (0.4, 0.1))
        found += arm(data, "head=glorot", (math.inf, 1.0), (0.9, 9.0), (0.2, other))
    logarithms = [np.log(other / base) for base, other in errors.values()]
    mean = float(np.mean(logarithms))
    low, _ = stats.t.interval(0.95, 2, mean, stats.sem(logarithms))
    (worth,) = worths(found)
    assert (worth.name, worth.better, worth.data) == ("head=glorot", 2, 3)
    assert worth.change == pytest.approx(mean)
    assert worth.change - worth.half == pytest.approx(low)


def test_a_variant_without_every_rate_is_left_out() -> None:
    """Neither a variant nor RealMLP's form counts on a data set where its rate is not tuned."""
    cells = (0.5, 2.0), (0.3, 1.0), (0.4, 3.0)
    tuned = arm("a", "same", *cells) + arm("a", "bias=zeros", *cells)
    variant = arm("b", "same", *cells) + arm("b", "bias=zeros", *cells[:2])
    base = arm("c", "same", *cells[:2]) + arm("c", "bias=zeros", *cells)
    (worth,) = worths([*tuned, *variant, *base])
    assert (worth.data, worth.change) == (1, 0.0)
