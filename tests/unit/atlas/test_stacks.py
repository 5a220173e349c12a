"""The stacks that are recorded."""

from __future__ import annotations

import pytest

from benchmarks.atlas.stacks import (
    FURTHER,
    VARIANTS,
    parameter_names,
    points,
    recorded_stacks,
    variants,
)
from trainstack.spaces.for_data import LEAST_UPDATES
from trainstack.spaces.portfolio import LEAST_BATCH
from trainstack.spaces.references import reference
from trainstack.spaces.space import Space


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_names_mean_the_same_stack_on_all_data(task: str) -> None:
    """On data of any size the names are the same, and only batch sizes differ."""
    few, many = (list(recorded_stacks(task, rows, 40)) for rows in (400, 40_000))
    assert [s.name for s in few] == [s.name for s in many]
    assert len({s.name for s in few}) == len(few)
    for small, large in zip(few, many, strict=True):
        batch = small.stack["batch_size"]
        assert large.stack.but(batch_size=batch) == small.stack
        if "/" in small.name:
            assert batch <= max(LEAST_BATCH, 400 / LEAST_UPDATES)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_each_variant_is_another_stack(task: str) -> None:
    """Every variant that has an effect on a task differs from all others."""
    found = dict(variants(task))
    assert len({stack.stack_id for stack in found.values()}) == len(found)
    assert found["realmlp/same"] == reference("realmlp-td-s", task)
    # A regression has no labels to smooth, and its averaged form embeds the numbers already.
    assert len(found) == len(VARIANTS) + len(FURTHER) - 2 * (task == "regression")


def test_points_fill_every_arm_of_the_space() -> None:
    """64 points of `modern` hold every choice of its larger axes, and rates of three decades."""
    space, drawn = Space.named("modern"), points("modern")[:64]
    for axis in ("optimizer", "schedule", "embedding", "preparation", "averaging"):
        assert {stack[axis] for stack in drawn} == set(space.arms[axis])
    rates = sorted(stack["optimizer.learning_rate"] for stack in drawn)
    assert rates[-1] / rates[0] > 1_000


def test_every_parameter_has_a_coordinate() -> None:
    """The names hold those that a draw asks for, of all arms."""
    names = parameter_names(Space.named("modern"))
    assert {"bundle", "units", "learning_rate.nadam", "initializer.relu", "batch_size"} <= set(
        names
    )
    assert len(names) == len(set(names))
