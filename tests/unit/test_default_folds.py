"""Trials are scored by folds on small data."""

from __future__ import annotations

import pytest

from trainstack.search.default_folds import FOLDS, MANY_ROWS, default_folds


@pytest.mark.parametrize(
    ("rows", "folds"), [(1, FOLDS), (MANY_ROWS - 1, FOLDS), (MANY_ROWS, 1), (10**6, 1)]
)
def test_few_rows_are_divided_into_folds(rows: int, folds: int) -> None:
    """Below the bound trials have folds, from there on one split."""
    assert default_folds(rows) == folds
