"""What decides where the rows of a data set may go, and how they are divided by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from trainstack.search.data.column_names import shown
from trainstack.search.data.row_splits import (
    Cut,
    expanding_windows,
    group_folds,
    latest_rows,
    random_folds,
    random_rows,
    whole_groups,
)
from trainstack.search.data.split_plan import SplitPlan, gap_of
from trainstack.spaces.errors import RequestError

# The test part takes a fifth of all rows, then validation a fifth of the rest.
HELD_OUT_FRACTION = 0.2
# Day 0 of times that are dates.
EPOCH = "1970-01-01"


@dataclass(frozen=True, eq=False)
class SplitKeys:
    """What decides where the rows of a part may go when it is divided.

    Attributes:
        groups: Number of each row's group, int64 [N]; None: there are no groups.
        times: Time of each row, float64 [N]: seconds since 1970, or the column's numbers; None: the
            rows have no order.
        dated: Whether the times are seconds.
        gap_rows: Rows left out before each part in time.
        gap_time: Time left out before each part, in the unit of the times.
    """

    groups: np.ndarray | None = None
    times: np.ndarray | None = None
    dated: bool = False
    gap_rows: int = 0
    gap_time: float = 0.0

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays that are there, by name."""
        found = {"groups": self.groups, "times": self.times}
        return {name: values for name, values in found.items() if values is not None}

    def of(self, rows: np.ndarray) -> SplitKeys:
        """Return the same for some of the rows."""
        return replace(self, **{name: values[rows] for name, values in self.arrays().items()})

    def cut(self, labels: np.ndarray | None, rows: int, seed: int) -> Cut:
        """Hold out a fifth of the rows: whole groups, the latest rows, or at random.

        Args:
            labels: Classes to stratify by, [N]; None: none.
            rows: N.
            seed: 0 to 2³² - 1; it has no influence on rows with times.

        Raises:
            RequestError: Too many rows have one time, or the gap leaves none but the latest.
        """
        if self.groups is not None:
            strata = np.zeros(rows, np.int32) if labels is None else labels
            return whole_groups(strata, self.groups, seed)
        if self.times is not None:
            gap = self.gap_rows, self.gap_time
            if len(np.unique(self.times)) > 1:
                kept, held = latest_rows(self.times, HELD_OUT_FRACTION, *gap)
                if len(kept):
                    return kept, held
            if any(gap):
                raise RequestError(
                    "--gap leaves too few rows before the parts held out", "a shorter gap"
                )
            raise RequestError(
                "too many rows have the same --time to hold out later ones",
                "three parts that follow one another",
                "leave --time out, or name each row's part with --part",
            )
        return random_rows(labels, rows, HELD_OUT_FRACTION, seed)

    def folds(
        self, labels: np.ndarray | None, rows: int, folds: int, repeats: int, seed: int
    ) -> Iterator[Cut]:
        """Yield `folds` × `repeats` cuts of the rows: whole groups, periods, or at random.

        Args:
            labels: Classes to stratify by, [N]; None: none.
            rows: N.
            folds: At least 2.
            repeats: Times that the rows are divided anew, at least 1; 1 for rows with times.
            seed: 0 to 2³² - 1; it has no influence on rows with times.
        """
        if self.groups is not None:
            strata = np.zeros(rows, np.int32) if labels is None else labels
            return group_folds(strata, self.groups, folds, repeats, seed)
        if self.times is not None:
            return expanding_windows(self.times, folds, self.gap_rows, self.gap_time)
        return random_folds(labels, rows, folds, repeats, seed)

    def shown_time(self, time: float) -> str:
        """Return a time as text.

        >>> SplitKeys(dated=True).shown_time(86_400.0), SplitKeys().shown_time(12.0)
        ('1970-01-02', '12')
        """
        if not self.dated:
            return f"{time:.10g}"
        found = (datetime.fromisoformat(EPOCH) + timedelta(seconds=time)).replace(microsecond=0)
        return found.isoformat(" ").removesuffix(" 00:00:00")


NO_KEYS = SplitKeys()


def keys_of(
    plan: SplitPlan, groups: np.ndarray | None, times: np.ndarray | None, dated: bool
) -> SplitKeys:
    """Return what decides where rows go, with the gap in the times' unit.

    Raises:
        RequestError: The times are constant, or the gap is a time and they are plain numbers.
    """
    gap_rows, gap_time = gap_of(plan.gap) if plan.gap is not None else (0, 0.0)
    if times is not None and np.ptp(times) == 0:
        keys = SplitKeys(dated=dated)
        raise RequestError(
            f"the time {shown(plan.time or '')} is {keys.shown_time(times[0])} in every row",
            "times that differ",
        )
    if gap_time and not dated:
        raise RequestError(
            f"--gap {plan.gap}, but the times of {shown(plan.time or '')} are plain numbers",
            "a number of rows",
        )
    return SplitKeys(groups, times, dated, gap_rows, gap_time)
