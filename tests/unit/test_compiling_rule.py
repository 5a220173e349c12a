"""Whether a structure is compiled: the initial cost compared with the saving per step."""

from __future__ import annotations

import itertools
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
    members = stack.but(members="shared", members__count=32)
    assert saved_seconds_a_step(members, 64) > saved_seconds_a_step(stack, 64)
    assert worth_bundling(stack, 64, 100_000, 5, "cpu")
    assert not worth_bundling(members, 64, 100_000, 5, "cpu")
    assert worth_bundling(members, 64, 1, 5, "gpu")


def test_small_data_is_not_compiled_and_large_is() -> None:
    """Digits for 30 epochs in batches of 32 are traced; five epochs of 55,000 images compile."""
    stack = Stack.of(units=[64, 64])
    assert not worth_compiling(stack, 64, 30 * (1_149 // 32))
    assert worth_compiling(Stack.of(units=[300, 100]), 784, 5 * (55_000 // 32))


@pytest.mark.parametrize("units", [[64, 64], [32] * 5])
def test_networks_are_bundled_from_the_steps_that_repay_tracing(units: list[int]) -> None:
    """A step saves 70 µs less a share for its products; tracing takes 35 ms for each layer."""
    stack = Stack.of(units=units, batch_size=32)
    products = 32 * sum(a * b for a, b in itertools.pairwise([20, *units]))
    saved = 70e-6 * (1 - products / 8e6)
    enough = math.floor(0.035 * len(units) / saved) + 1
    assert worth_bundling(stack, 20, enough, 2, "cpu")
    assert not worth_bundling(stack, 20, enough - 1, 2, "cpu")


def test_networks_that_share_a_compiled_program_need_more_steps_to_be_bundled() -> None:
    """Where five networks in turn compile and a bundle does not, it has to save what they do."""
    stack = Stack.of(units=[300, 100], normalization="before", batch_size=32)
    steps = 1_640  # 40 epochs of digits
    assert worth_compiling(stack, 64, steps, 5)
    assert not worth_compiling_bundle(stack, 64, steps, 5)
    assert not worth_bundling(stack, 64, steps, 5, "cpu")
    assert worth_bundling(stack, 64, steps, 2, "cpu")
    assert worth_bundling(stack, 64, 50 * steps, 5, "cpu")


def test_large_products_are_never_bundled_on_a_processor() -> None:
    """From eight million multiplications in a batch's forward pass on, no number of steps pays."""
    stack = Stack.of(units=[256], batch_size=256)
    assert worth_bundling(stack, 100, 10**6, 5, "cpu")
    assert not worth_bundling(stack, 123, 10**9, 5, "cpu")
    assert worth_bundling(stack, 123, 1, 5, "gpu")


@pytest.mark.parametrize("networks", [2, 4, 8])
def test_a_bundle_compiles_when_all_its_networks_save_more_than_it_costs(networks: int) -> None:
    """Passes over weights are saved for each network, calls once; it costs 1.25 times as much."""
    stack = Stack.of(units=[64, 64])
    alone = saved_seconds_a_step(stack, 64)
    calls = saved_seconds_a_step(stack, 64) - 1.6e-9 * (64 * 64 + 64 * 64)
    saved = networks * (alone - calls) + calls
    enough = math.floor(1.25 * compiling_seconds(stack) / saved) + 1
    assert worth_compiling_bundle(stack, 64, enough, networks)
    assert not worth_compiling_bundle(stack, 64, enough - 1, networks)
