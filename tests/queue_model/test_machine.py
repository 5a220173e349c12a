"""The queue keeps its promises whatever happens, and in whatever order."""

from __future__ import annotations

import os

import pytest

from tests.queue_model.bench import Bench
from tests.queue_model.machine import explore

pytestmark = pytest.mark.postgres
# Studies of 100 steps each; the same ones unless a seed asks for others.
STUDIES = int(os.environ.get("QUEUE_STUDIES", "10"))
SEED = os.environ.get("QUEUE_SEED")


def test_random_operations(bench: Bench) -> None:
    """Random operations, faults and jumps of the clock break no promise of the queue."""
    done = explore(bench, STUDIES, 100, None if SEED is None else int(SEED))
    assert done.steps >= 100 * STUDIES
