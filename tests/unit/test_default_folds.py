"""Trials are scored by folds on small data."""

from __future__ import annotations

import pytest

from trainstack.search.cli.fold_options import folds_of
from trainstack.search.data.load import load
from trainstack.search.default_folds import FOLDS, MANY_ROWS, default_folds


@pytest.mark.parametrize(
    ("rows", "folds"), [(1, FOLDS), (MANY_ROWS - 1, FOLDS), (MANY_ROWS, 1), (10**6, 1)]
)
def test_few_rows_are_divided_into_folds(rows: int, folds: int) -> None:
    """Below the bound trials have folds, from there on one split."""
    assert default_folds(rows) == folds


@pytest.mark.parametrize(("name", "folds"), [("wine", FOLDS), ("diabetes", FOLDS), ("digits", 1)])
def test_data_sets_have_the_default_of_their_rows(name: str, folds: int) -> None:
    """142 and 353 rows that are not for testing are divided into folds, 1,437 are not."""
    assert folds_of(load(name, None, "auto"), None, 1, 0, 5) == (folds, 1)
