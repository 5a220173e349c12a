"""Whether a structure is compiled: the initial cost compared with the saving per step."""

from __future__ import annotations

import math

import pytest

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.structure import (
    compiling_seconds,
    saved_seconds_a_step,
    worth_bundling,
    worth_compiling,
    worth_compiling_bundle,
)


@pytest.mark.parametrize("layers", [1, 2, 5, 20, 100])
def test_compiling_begins_where_the_savings_pass_the_cost(layers: int) -> None:
    """Compiling starts at exactly the number of steps whose saving exceeds the cost."""
    stack = Stack.of(units=[32] * layers)
    enough = math.floor(compiling_seconds(stack) / saved_seconds_a_step(stack, 64)) + 1
    assert worth_compiling(stack, 64, enough)
    assert not worth_compiling(stack, 64, enough - 1)


def test_runs_share_what_compiling_costs() -> None:
    """Five seeds of a structure compile like one run of five times the steps."""
    stack = Stack.of(units=[300, 100])
    enough = math.floor(compiling_seconds(stack) / saved_seconds_a_step(stack, 64)) + 1
    steps = math.ceil(enough / 5)
    assert worth_compiling(stack, 64, steps, runs=5)
    assert not worth_compiling(stack, 64, steps, runs=1)
    assert not worth_compiling(stack, 64, 0, runs=5)


def test_members_save_as_much_as_wider_work() -> None:
    """Every member passes the shared weights, so a step saves more, and fewer bundles pay off."""
    stack = Stack.of(units=[64, 64])
    members = stack.but(members="shared", members__count=16)
    assert saved_seconds_a_step(members, 64) > saved_seconds_a_step(stack, 64)
    assert worth_bundling(stack, 64, "cpu")
    assert not worth_bundling(members, 64, "cpu")
    assert worth_bundling(members, 64, "gpu")


def test_small_data_is_not_compiled_and_large_is() -> None:
    """Digits for 30 epochs in batches of 32 are traced; five epochs of 55,000 images compile."""
    stack = Stack.of(units=[64, 64])
    assert not worth_compiling(stack, 64, 30 * (1_149 // 32))
    assert worth_compiling(Stack.of(units=[300, 100]), 784, 5 * (55_000 // 32))


@pytest.mark.parametrize("networks", [2, 4, 8])
def test_a_bundle_compiles_when_all_its_networks_save_more_than_it_costs(networks: int) -> None:
    """Its saving grows with its networks; at 0.6 of theirs, it pays from 1.35 times the cost on."""
    stack = Stack.of(units=[64, 64])
    saved = 0.6 * networks * saved_seconds_a_step(stack, 64)
    enough = math.floor(1.35 * compiling_seconds(stack) / saved) + 1
    assert worth_compiling_bundle(stack, 64, enough, networks)
    assert not worth_compiling_bundle(stack, 64, enough - 1, networks)
