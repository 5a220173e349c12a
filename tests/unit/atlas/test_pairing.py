"""What pairs of runs are worth, on made-up records."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.atlas.records import BASELINE, Run
from benchmarks.fold_tables import FoldTable
from benchmarks.folds import FOLDS, POINTS
from benchmarks.pairing import SEEDS, borrowing, noise, pairs
from trainstack.spaces.references import CHAPTER_DEFAULT


def run(name: str, seed: int, loss: float) -> Run:
    """A recorded run of some validation loss."""
    stack, figures = CHAPTER_DEFAULT.to_json(), {"loss": loss}
    cost = {"parameters": 10, "seconds": (1.0, 1.0), "valid": figures, "test": figures}
    return Run("made up", name, seed, stack, 9, "completed", 9, [loss], [0.5], **cost)


def test_noise_is_what_neither_stack_nor_seed_explains() -> None:
    """Of stacks, seeds and noise of 2 % of the default's loss, only the noise is counted."""
    rng = np.random.default_rng(0)
    losses = 0.5 + 0.1 * rng.normal(size=(300, 1)) + 0.1 * rng.normal(size=SEEDS)
    losses[0] += 0.5 - losses[0].mean()
    losses = losses + 0.01 * rng.normal(size=losses.shape)
    names = [BASELINE, *(f"stack {k}" for k in range(1, 300))]
    found = [run(n, j, y) for n, row in zip(names, losses, strict=True) for j, y in enumerate(row)]
    variance, freedom = noise([*found, run("stack without all seeds", 0, 0.1)])
    assert variance**0.5 == pytest.approx(0.02, rel=0.05)
    assert freedom == 299 * (SEEDS - 1)


def test_a_prior_of_equal_tables_narrows_and_holds() -> None:
    """Where all tables are equally noisy, two seeds gain much from the others, and still hold."""
    found = borrowing(2, 2, [(1e-4, 1000.0)] * 5).mean(0)
    (power, held, half), (more, holds, less) = found
    assert held == pytest.approx(0.95, abs=0.005)
    assert 0.95 <= holds < 0.97
    assert more > 2 * power
    assert less < half / 2


def test_folds_that_are_independent_are_worth_as_much_as_splits() -> None:
    """With independent noise both ratios are 1; with folds whose noise cancels the first is 0."""
    rng = np.random.default_rng(0)
    losses = rng.normal(size=(4, 2000, FOLDS))
    table = FoldTable("made up", 100, (CHAPTER_DEFAULT,) * 4, curves(losses), np.zeros(4))
    assert pairs(table) == pytest.approx((1.0, 1.0), abs=0.1)
    cancelled = losses - losses.mean(2, keepdims=True)
    table = FoldTable("made up", 100, (CHAPTER_DEFAULT,) * 4, curves(cancelled), np.zeros(4))
    assert pairs(table) == pytest.approx((0.0, 0.0), abs=1e-9)


def curves(losses: np.ndarray) -> np.ndarray:
    """Curves that end at these losses."""
    return np.repeat(losses[..., None], POINTS, axis=-1)
