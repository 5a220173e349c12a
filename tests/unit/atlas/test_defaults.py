"""The measured default and the portfolio that recorded losses give."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.atlas.choosing import Losses, best_default, kept, portfolio
from benchmarks.atlas.portfolio import text_of
from benchmarks.atlas.records import runs_of_all
from trainstack.spaces.portfolio import TABLE


def losses(*logarithms: list[float]) -> Losses:
    """Return losses of stacks a, b, … on data sets, from their logarithms [S][D]."""
    table = np.exp(np.array(logarithms).T)
    data, names = (tuple(map(str, range(size))) for size in table.shape)
    return Losses(data, names, table, table, table)


@pytest.mark.parametrize(
    ("gains", "changed"),
    [([0.3, 0.3, 0.3, 0.3], True), ([0.3, 0.2, 0.1, -0.1], True), ([0.9, -0.5, 0.2, -0.4], False)],
)
def test_the_default_changes_only_beyond_chance(gains: list[float], changed: bool) -> None:
    """Another stack becomes the default if its mean gain exceeds the gain's standard error."""
    found = losses([0.0] * 4, [-gain for gain in gains])
    best = best_default(found, found.names)
    assert best == 1
    assert kept(found, 0, best) == int(changed)
    assert kept(found, best, best) == best


def test_a_portfolio_adds_what_the_stacks_before_it_lack() -> None:
    """After a stack that is best on three of four data sets comes the one that is on the fourth."""
    found = losses([0.5] * 4, [0.0, 0.0, 0.0, 0.9], [0.1, 0.1, 0.1, 0.8], [0.7, 0.7, 0.7, 0.0])
    assert portfolio(found, 4, (0, 1), found.names) == [0, 1, 3]
    assert portfolio(found, 4, (0, 1), found.names[:3]) == [0, 1], "only among those given"


def test_the_products_table_follows_from_the_recorded_runs() -> None:
    """Choosing again, from the committed recordings and with its own defaults, gives the table."""
    text = TABLE.read_text("utf-8")
    assert text_of(runs_of_all(), json.loads(text)) == text
