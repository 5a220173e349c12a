"""What a search has chosen after a number of recorded trials."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.atlas.trials import LONG, Table, by_trials


def planted(valid: list[float], error: list[float], first: tuple[int, ...] = (0, 1)) -> Table:
    """A data set with these figures of its stacks."""
    return Table("planted", np.array(valid), np.array(error), first)


def test_the_choice_is_the_stack_with_the_least_validation_loss_so_far() -> None:
    """A later stack that is worse on validation rows is not chosen, whatever its test error."""
    table = planted([0.5, 0.7, 0.4, 0.9], [0.30, 0.10, 0.40, 0.05])
    found = table.choices(np.array([1, 0, 3, 2]))
    assert np.exp(found) == pytest.approx([0.10, 0.30, 0.30, 0.40])


def test_random_orders_give_the_mean_over_all_orders() -> None:
    """After each trial the mean over many random orders is that over every order."""
    table = planted([0.5, 0.7, 0.4], [0.3, 0.1, 0.4])
    every = [table.choices(np.array(order)) for order in itertools.permutations(range(3))]
    drawn = [table.choices(order) for order in table.orders(5000, defaults_first=False)]
    assert np.mean(drawn, axis=0) == pytest.approx(np.mean(every, axis=0), abs=0.03)


def test_the_defaults_come_first_and_once() -> None:
    """Every order begins with the defaults and holds each stack once."""
    table = planted([0.5, 0.7, 0.4, 0.9, 0.8], [0.1] * 5, first=(3, 1))
    for order in table.orders(20, defaults_first=True):
        assert list(order[:2]) == [3, 1]
        assert sorted(order) == [0, 1, 2, 3, 4]


def test_errors_are_relative_to_those_of_a_long_search() -> None:
    """The random search ends at 0; a default that is best has its end's error after two trials."""
    rng = np.random.default_rng(0)
    losses = rng.uniform(1.0, 2.0, LONG)
    losses[1] = 0.5
    random, led = by_trials(planted(list(losses), list(losses)), orders=200)
    assert random[-1] == pytest.approx(0.0)
    assert (np.diff(random) <= 1e-12).all()
    assert led[1:] == pytest.approx(np.zeros(LONG - 1), abs=1e-12)
