"""Default number of folds whose mean is the score of a search trial.

Measured on tables of 142 to 5,148 rows (docs/folds.md).
"""

from __future__ import annotations

# Folds on small data, and the number of rows from which one split decides.
FOLDS = 5
MANY_ROWS = 1_000


def default_folds(rows: int) -> int:
    """Return the number of folds of a trial; 1 means a single split.

    Args:
        rows: Rows that are not for testing, at least 1.

    >>> default_folds(MANY_ROWS - 1), default_folds(MANY_ROWS)
    (5, 1)
    """
    return FOLDS if rows < MANY_ROWS else 1
