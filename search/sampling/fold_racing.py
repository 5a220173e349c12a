"""Ending a trial after its first folds, when its stack is clearly behind the best one."""

from __future__ import annotations

from collections.abc import Sequence


def first_folds(folds: int) -> int:
    """Return the number of folds that are trained before the decision."""
    return min(2, folds)


def behind(mine: Sequence[float], finished: Sequence[Sequence[float]]) -> bool:
    """Return whether a trial is clearly behind the best one that finished all folds.

    Args:
        mine: Objectives of its first folds.
        finished: Objectives of all folds of the trials that finished them.
    """
    first = len(mine)
    rivals = [sum(values[:first]) for values in finished]
    return len(rivals) >= 4 and sum(mine) > sorted(rivals)[len(rivals) // 2]
