"""Trials are scored by folds on small data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainstack.search.data.split_checks import check_folds
from trainstack.search.data.split_keys import NO_KEYS
from trainstack.search.default_folds import FOLDS, MANY_ROWS, default_folds


@pytest.mark.parametrize(
    ("rows", "rarest", "folds"),
    [
        (1, None, FOLDS),
        (MANY_ROWS - 1, None, FOLDS),
        (MANY_ROWS, None, 1),
        (MANY_ROWS - 1, FOLDS, FOLDS),
        (MANY_ROWS - 1, FOLDS - 1, 1),
        (MANY_ROWS, FOLDS, 1),
    ],
)
def test_few_rows_are_divided_into_folds(rows: int, rarest: int | None, folds: int) -> None:
    """Below the bound trials have folds, if each can hold out a row of every class."""
    assert default_folds(rows, rarest) == folds


@given(st.lists(st.integers(1, 40), min_size=2, max_size=6))
def test_the_default_is_never_refused(counts: list[int]) -> None:
    """Whatever the class counts, rows can be divided into the default number of folds."""
    labels = np.repeat(np.arange(len(counts)), counts)
    folds = default_folds(len(labels), min(counts))
    if folds > 1:
        check_folds(NO_KEYS, labels, [str(k) for k in range(len(counts))], folds, 1)
