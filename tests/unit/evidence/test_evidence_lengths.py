"""Warnings about plans: ended early, too long, or too short."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.planted_study import Planted, made_up_spec, neighbours
from trainstack.search.conclusion import search_warnings as table
from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.race import choice
from trainstack.search.records import Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.stack import Stack

EPOCHS = 40


def studied() -> tuple[StudySpec, list[Run], Choice]:
    """A confirmed study of six stacks whose runs all used their whole plan."""
    stacks = [CHAPTER_DEFAULT, *neighbours(5)]
    planted, spec = Planted(), made_up_spec(trials=len(stacks), epochs=EPOCHS)
    runs = planted.confirm(spec, planted.search(spec, stacks))
    chosen = choice(spec, runs)
    assert chosen is not None
    return spec, runs, chosen


def pruned(schedule: str, epochs: int, number: int) -> Run:
    """A search trial that was pruned after some epochs."""
    stack = Stack.of(schedule=schedule, optimizer__learning_rate=0.001 + number / 1e5)
    run = Planted().run(stack, seed=number, number=100 + number, epochs=epochs)
    return replace(run, outcome="pruned")


@pytest.mark.parametrize(("epochs", "warned"), [(EPOCHS // 2 - 1, True), (EPOCHS // 2, False)])
def test_stopped_before_half_of_the_plan(epochs: int, warned: bool) -> None:
    """If half of the trials used less than half of their plan, a shorter one is suggested."""
    spec, runs, chosen = studied()
    early = [replace(r, epochs=epochs) if r.phase == "search" else r for r in runs]
    found = table.stopped_early(spec, early, chosen)
    assert (found != []) == warned
    assert all("plans of 20 epochs" in text for text in found)


@pytest.mark.parametrize(
    ("schedule", "epochs", "finished", "warned"),
    [
        ("cosine", 13, 1, True),
        ("cosine", 13, 2, False),
        ("cosine", 36, 1, False),
        ("constant", 13, 0, False),
    ],
)
def test_pruned_while_the_rate_was_high(
    schedule: str, epochs: int, finished: int, warned: bool
) -> None:
    """A warning appears if three quarters of the planned schedules were pruned while hot."""
    spec, runs, chosen = studied()
    runs = [*runs, *(pruned(schedule, epochs, k) for k in range(8))]
    runs += [
        replace(pruned(schedule, EPOCHS, 10 + k), outcome="completed") for k in range(finished)
    ]
    found = table.cut_while_hot(spec, runs, chosen)
    assert (found != []) == warned
    assert all("--pruner none" in text for text in found)


def test_still_falling_at_the_end_of_a_short_plan() -> None:
    """A plan of half the epochs whose loss still falls at its end is named with that end."""
    spec, runs, chosen = studied()
    short = chosen.stack.but(plan_fraction=0.5)
    curve = tuple(1 / k for k in range(1, EPOCHS // 2 + 1))
    own = [
        replace(r, stack=short, stack_id=short.stack_id, epochs=EPOCHS // 2, curve=curve)
        for r in runs
        if r.stack_id == chosen.stack.stack_id
    ]
    (text,) = table.still_falling(spec, own, replace(chosen, stack=short))
    assert "at epoch 20" in text
