"""How rows become parts, as positions: pure functions of labels, groups and times.

The functions that cut a table once are copied into exported scripts, so they use nothing of this
package.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

# Positions of the rows that stay, and of those held out.
Cut = tuple[np.ndarray, np.ndarray]


def whole_groups(labels: Any, groups: Any, seed: Any) -> Any:
    """Return positions that stay and positions of about a fifth held out, groups kept whole.

    Of 250 random draws of a tenth to a half of the groups it is the one with the fewest classes
    missing on either side, and then with the class counts nearest to a fifth.
    """
    from sklearn.model_selection import ShuffleSplit

    distinct, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(distinct), labels.max() + 1))  # rows of each class in each group
    np.add.at(counts, (group, labels), 1)
    total = counts.sum(axis=0)
    draws = [
        drawn
        for share in (0.1, 0.2, 0.3, 0.4, 0.5)
        for _, drawn in ShuffleSplit(50, test_size=share, random_state=seed).split(distinct)
    ]
    held = np.array([counts[drawn].sum(axis=0) for drawn in draws])
    missing = ((held == 0) | (held == total)).sum(axis=1)
    best = np.lexsort((np.abs(held - total / 5).sum(axis=1), missing))[0]
    is_held = np.isin(group, draws[best])
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def start_of_latest(times: Any, count: Any) -> Any:
    """Return the time from which on there are as nearly as possible `count` rows, not all."""
    distinct, rows = np.unique(times, return_counts=True)
    later = rows[::-1].cumsum()[::-1]  # rows from each time on
    return distinct[1:][np.abs(later[1:] - count).argmin()]


def earlier_rows(times: Any, start: Any, gap_rows: Any = 0, gap_time: Any = 0.0) -> Any:
    """Return positions of rows before a time, without the latest ones that are within the gap."""
    earlier = np.flatnonzero((times < start) & (times <= start - gap_time))
    by_time = earlier[np.argsort(times[earlier], kind="stable")]
    return np.sort(by_time[: max(0, len(by_time) - gap_rows)])


def latest_rows(times: Any, share: Any, gap_rows: Any = 0, gap_time: Any = 0.0) -> Any:
    """Return positions of the earlier rows, and of about a share held out, the latest.

    Rows of the same time stay together; earlier rows within the gap are in neither.
    """
    start = start_of_latest(times, share * len(times))
    return earlier_rows(times, start, gap_rows, gap_time), np.flatnonzero(times >= start)


def random_rows(labels: np.ndarray | None, rows: int, share: float, seed: int) -> Cut:
    """Return positions that stay and a share held out at random, with the shares of the classes.

    Args:
        labels: Classes to stratify by, [N]; None: none.
        rows: N.
        share: Share of rows held out, above 0 and below 1.
        seed: 0 to 2³² - 1.
    """
    from sklearn.model_selection import train_test_split

    cut: Any = train_test_split(
        np.arange(rows), test_size=share, random_state=seed, stratify=labels
    )
    return cut[0], cut[1]


def random_folds(
    labels: np.ndarray | None, rows: int, folds: int, repeats: int, seed: int
) -> Iterator[Cut]:
    """Yield `folds` × `repeats` cuts; in each repeat every row is held out once.

    Args:
        labels: Classes to stratify by, [N]; None: none.
        rows: N.
        folds: Folds, from 2 to the rows of each class.
        repeats: Times that the rows are divided anew, at least 1.
        seed: 0 to 2³² - 1.
    """
    from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

    options: dict[str, Any] = {"n_splits": folds, "n_repeats": repeats, "random_state": seed}
    if labels is None:
        yield from RepeatedKFold(**options).split(np.arange(rows))
    else:
        yield from RepeatedStratifiedKFold(**options).split(np.arange(rows), labels)


def group_folds(
    labels: np.ndarray, groups: np.ndarray, folds: int, repeats: int, seed: int
) -> Iterator[Cut]:
    """Yield `folds` × `repeats` cuts with whole groups; in each repeat every one is held out once.

    Args:
        labels: Classes whose shares are kept where the groups allow it, int [N]; zeros: none.
        groups: Numbers of the groups, [N].
        folds: Folds, from 2 to the number of groups.
        repeats: Times that the groups are divided anew, at least 1.
        seed: 0 to 2³² - 1.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    for state in np.random.default_rng(seed).integers(2**32, size=repeats):
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=int(state))
        with warnings.catch_warnings():  # of classes with fewer rows than folds
            warnings.simplefilter("ignore", UserWarning)
            yield from splitter.split(labels, labels, groups)


def expanding_windows(
    times: np.ndarray, folds: int, gap_rows: int = 0, gap_time: float = 0.0
) -> Iterator[Cut]:
    """Yield `folds` cuts: each holds out the rows of a period, and earlier rows stay.

    Without rows of equal time they are scikit-learn's `TimeSeriesSplit`; rows of equal time stay
    together, which it does not promise.

    Args:
        times: [N], in any order.
        folds: Folds, at least 2; with too few distinct times a period may be empty.
        gap_rows: Rows left out before each period.
        gap_time: Time left out before each period, in the unit of the times.
    """
    size = len(times) // (folds + 1)
    starts = [start_of_latest(times, size * left) for left in range(folds, 0, -1)]
    for start, end in zip(starts, [*starts[1:], np.inf], strict=True):
        period = np.flatnonzero((times >= start) & (times < end))
        yield earlier_rows(times, start, gap_rows, gap_time), period


# Functions that cut a table in exported scripts, in the order of their definitions.
BY_GROUP: tuple[Callable[..., Any], ...] = (whole_groups,)
BY_TIME: tuple[Callable[..., Any], ...] = (start_of_latest, earlier_rows, latest_rows)
