"""Recorded runs as the truth of simulated studies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.atlas.records import BASELINE, Run
from benchmarks.choosing import SEEDS, world_of
from trainstack.spaces.references import CHAPTER_DEFAULT


def run(name: str, seed: int, stack: dict[str, Any], loss: float) -> Run:
    """A recorded run of some validation loss, and twice that on the test part."""
    figures: dict[str, Any] = {"valid": {"loss": loss}, "test": {"loss": 2 * loss}}
    return Run(
        "made up", name, seed, stack, 9, "completed", 9, [loss], [0.5], 10, (1, 1), **figures
    )


def test_the_noise_of_recorded_seeds_is_divided_into_shared_and_own() -> None:
    """Half of the variance of 400 stacks is the seed's: their deviation and that half are found."""
    rng = np.random.default_rng(0)
    together, found = np.sqrt([0.5]) * np.array([1.0, 0.0, -1.0]), []
    own = rng.normal(size=(200, SEEDS))
    for k, alone in enumerate(np.sqrt(0.5) * np.concatenate([own, -own])):
        stack = CHAPTER_DEFAULT.but(optimizer__learning_rate=0.001 * (1 + k)).to_json()
        losses = 5.0 + 0.1 * (together + alone)
        name = f"stack {k}" if k else BASELINE
        found += [run(name, seed, stack, loss) for seed, loss in enumerate(losses)]
    world = world_of(found)
    assert world.deviation == pytest.approx(0.1, rel=0.05)
    assert world.shared == pytest.approx(0.5, abs=0.05)
    assert world.stacks[0] == CHAPTER_DEFAULT
    assert world.truth(CHAPTER_DEFAULT) == pytest.approx(world.tested[CHAPTER_DEFAULT.stack_id] / 2)
