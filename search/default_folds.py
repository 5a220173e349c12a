"""Default number of folds whose mean is the score of a search trial.

Measured on tables of 142 to 5,148 rows (docs/folds.md).
"""

from __future__ import annotations

# Folds on small data, and the number of rows from which one split decides.
FOLDS = 5
MANY_ROWS = 2_000


def default_folds(rows: int, rarest: int | None = None) -> int:
    """Return the number of folds of a trial; 1 means a single split.

    Args:
        rows: Rows that are not for testing, at least 1.
        rarest: Number of these rows that have the rarest class, or number of groups: each fold
            must hold out one. None: neither classes nor groups.

    >>> default_folds(1_999), default_folds(2_000), default_folds(150, rarest=4)
    (5, 1, 1)
    """
    enough = rarest is None or rarest >= FOLDS
    return FOLDS if rows < MANY_ROWS and enough else 1
