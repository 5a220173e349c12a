"""Evaluation of a learning-rate range test."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trainstack.search.lr_range_test import is_narrowed, narrowed, read_range, searched, smoothed
from trainstack.spaces.space import Space

RATES = tuple(np.geomspace(1e-6, 10, 71))


def valley(fall: float, rise: float) -> list[float]:
    """A made-up sweep: loss 2.3 up to `fall`, down to 0.3 a decade later, diverging at `rise`."""
    losses = []
    for rate in RATES:
        down = min(1.0, max(0.0, math.log10(rate / fall)))
        losses.append(2.3 - 2.0 * down if rate < rise else float("inf"))
    return losses


def test_the_range_lies_between_the_fall_and_the_divergence() -> None:
    """The range begins where the loss begins to fall and ends before it diverges."""
    found = read_range("adam", RATES, valley(1e-4, 0.1), stable=None)
    assert 1e-4 <= found.low <= 4e-4
    assert 0.05 <= found.high < 0.1


def test_the_range_ends_at_the_largest_stable_rate() -> None:
    """Rates found unstable by the chapter's descent are excluded."""
    assert read_range("adam", RATES, valley(1e-4, 0.1), stable=0.01).high == 0.01


def test_a_range_is_at_least_a_decade_wide() -> None:
    """A narrow valley is widened downwards."""
    found = read_range("adam", RATES, valley(1e-2, 0.02), stable=None)
    assert found.high / found.low >= 10 * (1 - 1e-9)


def test_smoothing_is_the_bias_corrected_moving_average() -> None:
    """The smoothed losses are the weighted means of the formula, computed by hand."""
    assert smoothed([1.0, 2.0, 4.0]) == pytest.approx(
        [1.0, (0.6 * 1 + 2) / 1.6, (0.36 * 1 + 0.6 * 2 + 4) / 1.96]
    )
    assert smoothed([1.0, float("nan"), 1.0])[1:] == [math.inf, math.inf]


def test_a_space_is_narrowed_where_test_and_range_overlap() -> None:
    """An arm's range becomes the overlap; without overlap it is unchanged."""
    space = Space.named("chapter").to_json()
    adam = read_range("adam", RATES, valley(1e-4, 0.01), stable=None)
    sgd = read_range("sgd", RATES, valley(1e-6, 1e-4), stable=None)
    found = narrowed(space, [adam, sgd])
    learning_rate = found["axes"]["optimizer"]["adam"]["learning_rate"]
    assert learning_rate["low"] == float(f"{adam.low:.2g}")
    assert learning_rate["high"] == float(f"{adam.high:.2g}")
    assert found["axes"]["optimizer"]["sgd"] == space["axes"]["optimizer"]["sgd"]
    assert Space.from_json(found).name == "chapter"


def test_a_narrowed_space_is_recognized() -> None:
    """A narrowed space is marked as such, and differs from the request only in its ranges."""
    asked = Space.named("chapter").to_json()
    found = narrowed(asked, [read_range("adam", RATES, valley(1e-4, 0.01), stable=None)])
    assert is_narrowed(found, asked)
    assert is_narrowed(narrowed(asked, []), asked)
    assert not is_narrowed(asked, asked)
    assert not is_narrowed(found, Space.named("deep").to_json())
    found["axes"]["optimizer"]["adam"]["learning_rate"]["high"] = 5.0  # more than requested
    assert not is_narrowed(found, asked)


def test_only_ranges_of_rates_are_tested() -> None:
    """An optimizer with a fixed or listed learning rate is not tested."""
    document = Space.named("quick").to_json()
    document["axes"]["optimizer"] = {
        "adam": {"learning_rate": 0.001},
        "nadam": {},
        "sgd": {"learning_rate": {"choices": [0.1, 0.01]}},
        "nesterov": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}},
    }
    space = Space.from_json(document).to_json()
    assert searched(space) == ["nesterov"]
    assert narrowed(space, [])["axes"] == space["axes"]
