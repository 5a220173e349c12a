"""Trials are pruned at a rung if worse than most of the comparable ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainstack.search.sampling.pruning import (
    PRUNERS,
    Seen,
    cut,
    reported,
    rung_step,
    seen,
    step_of,
)
from trainstack.spaces.stack import Stack

ASHA = PRUNERS["asha"]


def at(*losses: float, heat: float = 1.0) -> list[Seen]:
    return [Seen(heat, loss) for loss in losses]


def test_the_better_half_goes_on() -> None:
    """Of nine equal-rate trials the best four continue, as in successive halving."""
    losses = [0.1 * k for k in range(1, 10)]
    kept = [
        mine
        for mine in losses
        if not cut(ASHA, Seen(1.0, mine), at(*(loss for loss in losses if loss != mine)))
    ]
    assert kept == losses[:4]


def test_a_hot_trial_is_not_held_against_cool_ones() -> None:
    """A trial whose rate is still to fall is compared only with trials of a rate as high."""
    hot, cool = Seen(80.0, 1.0), at(0.1, 0.2, 0.3, 0.4, 0.5)
    assert not cut(ASHA, hot, cool)
    assert cut(ASHA, hot, [*cool, *at(0.5, 0.6, 0.7, 0.8, heat=90.0)])


def test_a_cool_trial_is_held_against_all() -> None:
    """A trial whose rate has fallen is pruned if it is worse than those with high rates."""
    assert cut(ASHA, Seen(1.0, 1.0), at(0.5, 0.6, 0.7, 0.8, heat=80.0))


@pytest.mark.parametrize("name", PRUNERS)
@given(mine=st.floats(0, 10), others=st.lists(st.floats(0, 10)))
def test_the_best_is_never_cut(name: str, mine: float, others: list[float]) -> None:
    """With every pruner the best trial at a rung continues."""
    best = Seen(1.0, min([mine, *others]))
    assert not cut(PRUNERS[name], best, at(*others))


@pytest.mark.parametrize("name", PRUNERS)
@given(planned=st.integers(1, 400), most=st.integers(1, 400))
def test_steps_rise_with_epochs_and_meet_at_rungs(name: str, planned: int, most: int) -> None:
    """Plans of any length reach each rung at the same step, and reported steps never fall."""
    row, planned = PRUNERS[name], min(planned, most)
    steps = [step_of(row, epoch, planned, most) for epoch in sorted(reported(row, planned))]
    assert steps == sorted(steps)
    assert all(1 <= step <= most for step in steps)
    for epoch in row.places(planned):
        assert 1 <= epoch < planned
        assert step_of(row, epoch, planned, most) in {rung_step(s, most) for s in row.rungs}


def test_what_is_seen_at_a_rung() -> None:
    """The lowest loss up to the rung counts; a trial that has not reached it is not compared."""
    stack = Stack.of(schedule="constant")
    curve = [0.9, 0.4, 0.6, 0.8, 0.1]
    assert seen(ASHA, stack, 1 / 3, curve, 12) == Seen(1.0, 0.4)
    assert seen(ASHA, stack, 2 / 3, curve, 12) is None
    assert seen(ASHA, stack, 0.5, curve, 12) is None


def test_a_loss_that_is_not_finite_is_worst() -> None:
    """A trial with an infinite loss at a rung is pruned if any other is finite."""
    assert cut(ASHA, Seen(1.0, math.inf), at(0.5, 0.6, 0.7, 0.8))


def test_few_trials_decide_nothing() -> None:
    """With fewer than five trials at a rung none is pruned."""
    assert not cut(ASHA, Seen(1.0, 9.0), at(0.1, 0.2, 0.3))
    assert cut(ASHA, Seen(1.0, 9.0), at(0.1, 0.2, 0.3, 0.4))


@pytest.mark.parametrize("planned", range(2, 12))
def test_a_rung_of_a_short_plan_has_the_step_that_is_reported(planned: int) -> None:
    """A rung has the step under which its epoch was reported, even in tiny plans."""
    for row in PRUNERS.values():
        for epoch, share in row.places(planned).items():
            assert step_of(row, epoch, planned, 11) == rung_step(share, 11)
