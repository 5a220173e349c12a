"""When a trial's remaining folds are not worth training, because it is clearly behind.

A trial trains its first folds, is compared with the best finished trial on the same folds, and
trains the others if it may still become the best. Good stacks differ less than folds do, so only
differences on the same folds count. Both rules were chosen by replaying recorded folds
(docs/folds.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Standard errors by which a trial must be behind.
ERRORS = 2.0
# Finished trials without which the spread of differences is not known.
LEAST_FINISHED = 2


def first_folds(folds: int) -> int:
    """Return how many folds a trial trains before it is compared: a fifth, at least one.

    Args:
        folds: Folds of a whole trial, at least 1.

    >>> [first_folds(folds) for folds in (1, 2, 3, 5, 10)]
    [1, 1, 1, 1, 2]
    """
    return max(1, folds // 5)


def behind(
    mine: Sequence[float], finished: Sequence[Sequence[float]], errors: float = ERRORS
) -> bool:
    """Return whether a trial is clearly behind the best finished one after its first folds.

    With differences d to the best trial on F of K folds, its mean over all folds is expected at
    mean(d) ± s · sqrt((K - F) / (F · K)): the error of a mean of F drawn from K without
    replacement. F differences show their spread s poorly, so it is borrowed: the median standard
    deviation of the other finished trials' differences to the best. With fewer than two finished
    trials nothing is known about it, and no trial is behind.

    Args:
        mine: Objectives of the trial's first folds, at least one; lower is better. A fold that is
            not finite has diverged.
        finished: Objectives of all folds of each finished trial, in the same order of folds.
        errors: Standard errors by which the trial must be behind.

    Reference: Cochran, "Sampling techniques", 1977, section 2.6 (finite population correction).

    >>> finished = [[1.0, 2.0, 3.0, 2.0, 2.0], [1.3, 2.1, 3.2, 2.4, 2.1]]
    >>> behind([1.5], finished), behind([1.1], finished)
    (True, False)
    """
    whole = np.array([losses for losses in finished if np.isfinite(losses).all()])
    if not len(whole):
        return False
    if not np.isfinite(mine).all():
        return True
    if len(whole) < LEAST_FINISHED:
        return False
    best = min(whole, key=lambda losses: (losses.mean(), *losses))
    spreads = np.sort(np.std(whole - best, axis=1, ddof=1))[1:]  # the first is the best's own, 0
    used, folds = len(mine), len(best)
    gap = np.mean(mine - best[:used])
    error = np.median(spreads) * ((folds - used) / (used * folds)) ** 0.5
    return bool(gap > errors * error)
