"""Programs are cached by structure, few at a time, and are released completely when dropped."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

from trainstack.search.data.inputs import Inputs
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.memory import forget_dropped_graphs
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.program_cache import MOST_BUILT, MOST_COMPILED_LAYERS, Programs
from trainstack.workers.engine.structure import Structure, shaping_items

pytestmark = pytest.mark.keras
ROWS, FEATURES, CLASSES, BATCH = 48, 5, 3, 16


def structure_of(stack: Stack, compiled: bool = False) -> Structure:
    shape = (shaping_items(stack), Inputs(FEATURES), CLASSES, "classification", (ROWS, ROWS))
    return Structure(*shape, compiled=compiled)


def trained(program: Program, stack: Stack) -> np.ndarray:
    """Train an epoch from fresh weights; return the first kernel."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.standard_normal((ROWS, FEATURES)).astype(np.float32))
    y = tf.constant(rng.integers(0, CLASSES, ROWS).astype(np.int32))
    order = rng.permutation(ROWS).astype(np.int32).reshape(-1, BATCH)
    program.reset(stack, 0)
    rates = np.full(len(order), 0.01, np.float32)
    program.epoch(stack, DeviceData(x, y, x, y), order, rates, None, 1)
    return program.weights()[0]


def graphs() -> int:
    """Count the living traced graphs."""
    return sum(isinstance(thing, FuncGraph) for thing in gc.get_objects())


@pytest.mark.parametrize(("activation", "normalization"), [("relu", "before"), ("swish", "none")])
def test_dropped_graphs_are_given_back(activation: str, normalization: str) -> None:
    """No traced graph of an unreferenced program stays in memory."""
    stack = Stack.of(
        units=[4], batch_size=BATCH, activation=activation, normalization=normalization
    )
    forget_dropped_graphs()
    before = graphs()
    program = Program(structure_of(stack), stack)
    trained(program, stack)
    assert graphs() > before
    del program
    forget_dropped_graphs()
    assert graphs() == before


def test_kept_programs_go_on_when_others_are_forgotten() -> None:
    """A referenced program trains as before after the memory of others is released."""
    stack = Stack.of(units=[4], batch_size=BATCH, activation="swish")
    program = Program(structure_of(stack), stack)
    before = trained(program, stack)
    forget_dropped_graphs()
    np.testing.assert_array_equal(trained(program, stack), before)


def test_the_least_recently_used_is_dropped() -> None:
    """With more structures than the limit, the least recently used one is built again."""
    stack = Stack.of(units=[4], batch_size=BATCH)
    first, second, third = (replace(structure_of(stack), outputs=k) for k in (2, 3, 4))
    programs = Programs(most=2)
    kept, _ = programs.get(first, lambda: Program(first, stack))
    programs.get(second, lambda: Program(second, stack))
    assert programs.get(first, lambda: Program(first, stack)) == (kept, True)
    programs.get(third, lambda: Program(third, stack))
    assert first in programs
    assert second not in programs


def test_many_structures_hold_few_graphs() -> None:
    """The number of living graphs is bounded by that of the kept programs."""
    stack = Stack.of(units=[4], batch_size=BATCH, activation="swish")
    programs = Programs(most=2, most_dropped=2)
    forget_dropped_graphs()
    before, counted = graphs(), []
    for k in range(10):
        structure = replace(structure_of(stack), rows=(ROWS, ROWS + k))
        trained(programs.get(structure, lambda s=structure: Program(s, stack))[0], stack)
        counted.append(graphs() - before)
    assert max(counted[4:]) <= max(counted[:4])
    assert not programs.worn


@pytest.mark.parametrize("compiled", [False, True])
def test_what_xla_compiled_wears_a_trainer_out(compiled: bool) -> None:
    """XLA never releases a compiled layer, so after many of them the trainer is to be replaced."""
    stack = Stack.of(units=[4] * 10, batch_size=BATCH)
    programs = Programs()
    for k in range(MOST_COMPILED_LAYERS // 10):
        assert not programs.worn
        structure = replace(structure_of(stack, compiled), outputs=k + 2)
        programs.get(structure, lambda s=structure: Program(s, stack))
    assert programs.worn == compiled


def test_many_programs_wear_a_trainer_out() -> None:
    """A trainer is to be replaced after building many programs, but not after reusing them."""
    programs = Programs(most=2)
    stack = Stack.of(units=[4], batch_size=BATCH)
    made = Program(structure_of(stack), stack)
    for k in range(MOST_BUILT):
        assert not programs.worn
        for _ in range(3):
            programs.get(replace(made.structure, outputs=k), lambda: made)
    assert programs.worn
