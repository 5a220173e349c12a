"""The queue keeps its promises whatever happens, and in whatever order."""

from __future__ import annotations

import os

import pytest

from tests.queue_model.bench import Bench
from tests.queue_model.machine import explore

pytestmark = pytest.mark.postgres
# Each run has its seed, and ten studies of a hundred steps.
RUNS = int(os.environ.get("QUEUE_RUNS", "4"))
FIRST_SEED = int(os.environ.get("QUEUE_SEED", "0"))


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + RUNS))
def test_random_operations(bench: Bench, seed: int) -> None:
    """Random operations, faults and jumps of the clock break no promise of the queue."""
    done = explore(bench, studies=10, steps=100, seed=seed)
    assert (done.studies, done.steps) == (10, 1000)
