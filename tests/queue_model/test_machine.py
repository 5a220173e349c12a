"""The queue keeps its promises whatever happens, and in whatever order."""

from __future__ import annotations

import os

import pytest

from tests.queue_model.bench import Bench
from tests.queue_model.machine import explore

pytestmark = pytest.mark.postgres
RUNS, OPERATIONS = int(os.environ.get("QUEUE_RUNS", "8")), 2_500
FIRST_SEED = int(os.environ.get("QUEUE_SEED", "0"))


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + RUNS))
def test_random_operations(bench: Bench, seed: int) -> None:
    """2,500 random operations, faults and jumps of the clock break no promise of the queue.

    Each study comes to its end, when Optuna's copy equals our tables.
    """
    done = explore(bench, OPERATIONS, seed)
    assert done.operations >= OPERATIONS
    assert done.compared >= done.studies
