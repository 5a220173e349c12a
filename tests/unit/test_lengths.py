"""The default length of a plan, and the batch sizes, follow the number of rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainstack.search.data.dataset import Dataset
from trainstack.search.data.part import Part
from trainstack.search.plan_length import (
    LEAST_EPOCHS,
    MOST_EPOCHS,
    UPDATES,
    batch_sizes,
    default_epochs,
    training_rows,
)
from trainstack.spaces.for_data import for_rows
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack


@pytest.mark.parametrize("given_parts", [(), ("valid",), ("test",), ("valid", "test")])
def test_training_rows_are_those_of_a_split(given_parts: tuple[str, ...]) -> None:
    """The count equals the training rows of a split."""
    rng = np.random.default_rng(0)
    parts = {
        name: Part(rng.normal(size=(137, 3)).astype(np.float32), np.arange(137, dtype=np.float32))
        for name in ("train", *given_parts)
    }
    data = Dataset("made", None, "regression", parts, columns=("a", "b", "c"))
    assert training_rows(data) == len(data.split(0).y_train)


@given(st.integers(1, 10**7), st.sampled_from(sorted(UPDATES)))
def test_more_rows_mean_no_more_epochs(rows: int, task: str) -> None:
    """Epochs stay within their bounds, and do not rise with the number of rows."""
    few, many = (default_epochs(task, n, [64]) for n in (rows, 2 * rows))
    assert LEAST_EPOCHS <= many <= few <= MOST_EPOCHS


def test_a_plan_has_the_measured_updates() -> None:
    """Between the bounds a plan has the number of updates given by the rule."""
    epochs = default_epochs("regression", 6_400, [32, 128])
    assert epochs * 6_400 / 64 == UPDATES["regression"]


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        (500, (32,)),
        (1_150, (32, 64)),
        (6_000, (32, 64, 128, 256)),
        (50_000, (32, 64, 128, 256, 512, 1024, 2048)),
    ],
)
def test_the_chapters_batch_sizes_suit_the_rows(rows: int, sizes: tuple[int, ...]) -> None:
    """With few rows only small batches are offered; with many, 1,024 and more."""
    assert batch_sizes(for_rows(Space.named("chapter"), rows)) == sizes


def test_given_stacks_have_their_own_batch_sizes() -> None:
    """For given stacks, their batch sizes are used and not the space's."""
    stacks = [Stack.of(batch_size=16), Stack.of(batch_size=64)]
    assert batch_sizes(Space.named("chapter"), stacks) == (16, 64)
