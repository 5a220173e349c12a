"""How many folds a study has if its user does not say."""

from __future__ import annotations

from trainstack.search.data.dataset import Dataset
from trainstack.search.default_folds import default_folds


def unasked_folds(dataset: Dataset) -> int:
    """Return the number of folds of a study without `--folds`: by the rows, if they have no times.

    Folds in time train on far fewer rows than a split, and were not measured (docs/folds.md).
    """
    return 1 if dataset.keys.times is not None else default_folds(dataset.rows_to_divide)
