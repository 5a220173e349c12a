"""Checks that rows can be divided as asked; each fault has a one-line message."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from trainstack.search.data.column_names import shown
from trainstack.search.data.row_splits import earlier_rows
from trainstack.search.data.split_keys import SplitKeys
from trainstack.search.data.split_plan import SplitPlan
from trainstack.spaces.errors import RequestError


def check_given(plan: SplitPlan, keys: SplitKeys, parts: np.ndarray) -> None:
    """Check parts that are given against groups and times.

    Args:
        plan: What the user says.
        keys: Groups and times of all rows, [N].
        parts: The rows' parts, [N].

    Raises:
        RequestError: A group is in two of them, or a part does not follow the one before it with
            the gap between them.
    """
    given = [part for part in ("train", "valid", "test") if (parts == part).any()]
    if keys.groups is not None:
        for k, part in enumerate(given):
            for other in given[:k]:
                both = np.intersect1d(keys.groups[parts == part], keys.groups[parts == other])
                if len(both):
                    raise RequestError(
                        f"{len(both)} group(s) of --group {shown(plan.group or '')} are in the "
                        f"{other} part and in the {part} part as given",
                        "each group in one part",
                    )
    if keys.times is None:
        return
    if "valid" in given and "test" not in given:
        raise RequestError(
            "--time with a given validation part and no test part", "both, or a test part alone"
        )
    if keys.gap_rows and len(given) > 1:
        raise RequestError(
            f"--gap {plan.gap} with a given {given[-1]} part",
            "a time such as 7d, or all in one file",
        )
    for earlier, later in itertools.pairwise(given):
        start = keys.times[parts == later].min()
        before = keys.of(parts == earlier)
        assert before.times is not None
        kept = earlier_rows(before.times, start, gap_time=keys.gap_time)
        if len(kept) < len(before.times):
            last = keys.shown_time(before.times.max())
            gap = f", with --gap {plan.gap} before it" if keys.gap_time else ""
            raise RequestError(
                f"the {later} part as given begins at {keys.shown_time(start)} and the {earlier} "
                f"part ends at {last}",
                f"the {later} part after it{gap}",
            )


def check_learnt(y: np.ndarray, classes: Sequence[str], parts: np.ndarray) -> None:
    """Check that every class of given parts has training rows.

    Args:
        y: Labels of all rows, [N].
        classes: Their names in label order; empty: none.
        parts: The rows' parts, [N].

    Raises:
        RequestError: A class has none.
    """
    if not classes:
        return
    unlearnt = np.setdiff1d(np.arange(len(classes)), y[parts == "train"])
    if len(unlearnt):
        label = int(unlearnt[0])
        part = parts[y == label][0]
        raise RequestError(
            f"class '{classes[label]}' is in the {part} part as given and in no training row",
            "training rows of every class",
        )


def check_groups(
    keys: SplitKeys, y: np.ndarray, classes: Sequence[str], needed: int, name: str
) -> None:
    """Check that there are enough groups, and of each class, to divide rows into parts.

    Args:
        keys: Groups of the rows to divide.
        y: Their targets, [N].
        classes: Names of the classes in label order; empty: none.
        needed: Number of parts.
        name: The column of groups.

    Raises:
        RequestError: There are fewer.
    """
    if keys.groups is None:
        return
    count = len(np.unique(keys.groups))
    if count < needed:
        raise RequestError(
            f"--group {shown(name)} has {count} group(s)", f"at least {needed}, one for each part"
        )
    for label, known in enumerate(classes):
        having = len(np.unique(keys.groups[y == label]))
        if having < needed:
            raise RequestError(
                f"class '{known}' is in {having} group(s) of --group {shown(name)}",
                f"at least {needed}, one for each part",
                "drop the class or merge it with another",
            )


def check_times(keys: SplitKeys, needed: int, name: str) -> None:
    """Check that there are enough distinct times to divide rows into parts.

    Raises:
        RequestError: There are fewer than `needed`.
    """
    if keys.times is None:
        return
    count = len(np.unique(keys.times))
    if count < needed:
        raise RequestError(
            f"the time {shown(name)} has {count} distinct value(s)",
            f"at least {needed}, one for each part",
        )


def check_parts(parts: Mapping[str, np.ndarray], y: np.ndarray, classes: Sequence[str]) -> None:
    """Check that parts have rows, and of every class.

    Args:
        parts: Name of a part → positions of its rows.
        y: Labels, [N].
        classes: Names of the classes in label order; empty: none.

    Raises:
        RequestError: A part has no row, or none of some class.
    """
    for part, rows in parts.items():
        if not len(rows):
            raise RequestError(f"{part} has no rows", "fewer folds, or a shorter gap")
        counts = np.bincount(y[rows], minlength=len(classes)) if classes else np.ones(1)
        if (lacking := np.flatnonzero(counts == 0)).size:
            raise RequestError(
                f"{part} has no row of class '{classes[int(lacking[0])]}'",
                "rows of every class",
                "drop that class, merge it with another, or divide the rows otherwise",
            )


def check_folds(
    keys: SplitKeys,
    labels: np.ndarray | None,
    classes: Sequence[str],
    rows: int,
    folds: int,
    repeats: int,
) -> None:
    """Check that rows can be divided into folds.

    Args:
        keys: Groups and times of the rows.
        labels: Their classes, [N]; None: none.
        classes: Names of the classes in label order; empty: none.
        rows: N.
        folds: Number of folds.
        repeats: Times that the rows are divided anew.

    Raises:
        RequestError: They are too few, or too few groups, times or rows of some class.
    """
    if folds < 2 or repeats < 1:
        raise RequestError(f"--folds {folds} --repeats {repeats}", "2 folds or more, 1 repeat")
    if rows < folds:
        raise RequestError(
            f"--folds {folds}, but {rows} row(s) are not for testing", "a row for each fold"
        )
    if keys.groups is not None and (count := len(np.unique(keys.groups))) < folds:
        raise RequestError(
            f"--folds {folds}, but {count} group(s) are not for testing", "a group for each fold"
        )
    if keys.times is not None:
        if repeats > 1:
            raise RequestError(f"--repeats {repeats} with --time", "1: periods do not change")
        if (count := len(np.unique(keys.times))) <= folds:
            raise RequestError(
                f"--folds {folds}, but {count} distinct time(s) are not for testing",
                "a time for each fold, and one before them",
            )
        return
    if labels is None or not classes:
        return
    counts = np.bincount(labels, minlength=len(classes))
    rarest = int(counts.argmin())
    if counts[rarest] < folds:
        raise RequestError(
            f"--folds {folds}, but class '{classes[rarest]}' has {counts[rarest]} row(s) that are "
            "not for testing",
            "a row of each class for each fold",
        )
