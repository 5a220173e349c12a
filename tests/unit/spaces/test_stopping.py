"""A run never ends early before a planned schedule has lowered its rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.planted_study import RandomTrial
from trainstack.spaces.schedules import SCHEDULES
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack
from trainstack.spaces.stopping import cool_from, heat, stopping_of


@pytest.mark.parametrize(
    ("schedule", "numbers", "share"),
    [
        ("constant", {}, 0.0),
        ("performance", {}, 0.0),
        # 1 - t/(1 - w) falls to a tenth at w + 0.9 (1 - w).
        ("linear", {"schedule__warmup": 0.0}, 0.9),
        ("linear", {"schedule__warmup": 0.1}, 0.91),
        # (1 + cos(pi t)) / 2 = 0.1 at t = acos(-0.8) / pi.
        ("cosine", {"schedule__warmup": 0.0}, 0.795),
        # 0.1^(t/s) = 0.1 at t = s, before the end of the plan.
        ("exponential", {"schedule__length": 0.5}, 0.5),
        # 0.2² = 0.04 from the second drop on; a single drop of 0.5 to 0.25 is near its end.
        ("piecewise", {}, 0.75),
        ("piecewise", {"schedule__drop": 0.5}, 0.75),
        # 1 / (1 + 2t) is 1.5 times its last third at t = 0.5.
        ("power", {"schedule__length": 0.5}, 0.5),
        # Linear from 1 at 0.45 to 0.1 at 0.9.
        ("1cycle", {}, 0.9),
        # At a tenth for the first time where log₂(1 + 15 t) = 1 - acos(0.8) / 2π; with one cycle t.
        ("coslog", {}, (2 ** (1 - np.arccos(0.8) / (2 * np.pi)) - 1) / 15),
        ("coslog", {"schedule__cycles": 1}, 2 ** (1 - np.arccos(0.8) / (2 * np.pi)) - 1),
    ],
)
def test_the_rate_has_come_down(schedule: str, numbers: dict[str, float], share: float) -> None:
    """Each schedule's rate has come down at the point given by its formula."""
    assert cool_from(Stack.of(schedule=schedule, **numbers)) == pytest.approx(share, abs=0.011)


def test_patience_counts_from_there() -> None:
    """Epochs without improvement end a run only after the rate has come down."""
    rule = stopping_of(Stack.of(schedule="piecewise", stopping__share=0.1), 100)
    assert (rule.from_epoch, rule.patience_epochs) == (75, 10)
    assert not rule.ends(84, best_epoch=3)
    assert rule.ends(85, best_epoch=3)
    assert not rule.ends(85, best_epoch=80)
    assert rule.ends(90, best_epoch=80)


def test_no_stopping_trains_the_whole_plan() -> None:
    """`none` never ends a run before its plan does."""
    rule = stopping_of(Stack.of(schedule="constant", stopping="none"), 50)
    assert not any(rule.ends(epoch, best_epoch=1) for epoch in range(1, 51))


@given(st.integers(1, 1000), st.floats(0.01, 1.0), st.floats(0.001, 1.0))
def test_performance_scheduling_lowers_its_rate_four_times_first(
    epochs: int, share: float, patience: float
) -> None:
    """For all parameters performance scheduling has lowered its rate four times by then."""
    stack = Stack.of(stopping__share=share, schedule__patience=patience)
    wait = max(1, round(patience * epochs))
    assert stopping_of(stack, epochs).patience_epochs > 4 * wait


@given(st.integers(0, 2**31), st.integers(2, 300))
def test_no_draw_of_the_chapter_stops_while_hot(seed: int, epochs: int) -> None:
    """A stack of the chapter's space continues while its rate is above its final level."""
    stack = Space.named("chapter").draw(RandomTrial(np.random.default_rng(seed)))
    rule = stopping_of(stack, epochs)
    for epoch in range(1, epochs):
        if rule.ends(epoch, best_epoch=1):
            assert heat(stack, epoch / epochs) <= 11


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_heat_falls_to_one(schedule: str) -> None:
    """No schedule's heat rises during the plan, and all end at 1."""
    stack = Stack.of(schedule=schedule)
    heats = [heat(stack, k / 20) for k in range(21)]
    assert heats == sorted(heats, reverse=True)
    assert heats[-1] == 1.0
    assert (heats[0] == 1.0) == (schedule in ("constant", "performance"))


def test_a_plan_is_a_share_of_the_most_epochs() -> None:
    """A stack plans its share of the maximum epochs, at least one."""
    half = Stack.of(plan_fraction=0.5)
    assert [half.planned_epochs(most) for most in (1, 3, 30)] == [1, 2, 15]


def test_a_stack_of_the_former_form_is_read() -> None:
    """A document with `patience` in epochs is read with the usual stopping rule."""
    today = Stack.of(schedule="cosine")
    keys = ("stopping", "stopping.share", "plan_fraction")
    former = {k: v for k, v in today.to_json().items() if k not in keys}
    assert Stack.from_json({**former, "patience": 10}) == today
