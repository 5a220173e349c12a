"""The division of a table's rows: what is given, and what of those columns may be learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trainstack.search.data.column_names import shown
from trainstack.search.data.columns import Feature
from trainstack.search.data.overrules import Overrules
from trainstack.search.data.split_checks import check_given
from trainstack.search.data.split_columns import (
    read_groups,
    read_parts,
    read_times,
    time_spelling,
    times_python,
)
from trainstack.search.data.split_keys import SplitKeys, keys_of
from trainstack.search.data.split_plan import SplitPlan
from trainstack.spaces.errors import RequestError

# Part of the calendar → days after which it recurs. It is a feature if the rows' times span two
# such cycles: then its values in later rows have occurred before. The year never recurs.
CYCLES = {"month": 365.2425, "day": 30.436875, "weekday": 7.0, "hour": 1.0}
_LEAST_CYCLES = 2


@dataclass(frozen=True, eq=False)
class Division:
    """What is known about the parts of a table's rows.

    Attributes:
        parts: Each row's part, `train`, `valid` or `test`, [N].
        keys: Groups and times of all rows.
        python: Lines of Python that define `part`, `groups` and `times` from `frame`, where the
            table has them.
    """

    parts: np.ndarray
    keys: SplitKeys
    python: tuple[str, ...]

    @property
    def given(self) -> tuple[str, ...]:
        """The parts that have rows."""
        return tuple(part for part in ("train", "valid", "test") if (self.parts == part).any())

    @property
    def train(self) -> SplitKeys:
        """Groups and times of the rows that are in no given part."""
        return self.keys.of(self.parts == "train")


def divide(
    frame: Any,
    parts: np.ndarray | None,
    plan: SplitPlan,
    file: str,
    place: Callable[[int], str],
) -> Division:
    """Read the columns that divide a table's rows.

    Args:
        frame: The rows.
        parts: Each row's part if the table has several files, [N].
        plan: How rows become parts, with the columns' names as in the frame.
        file: Name of the table.
        place: Describes the position of a row.

    Raises:
        RequestError: A column cannot be used, or given parts share a group or are not in order.
    """
    python = []
    if parts is not None:
        python.append("part = part[frame.index].to_numpy()")
    elif plan.part is not None:
        parts = read_parts(frame[plan.part], plan.part, place)
        meant = dict(zip(frame[plan.part].map(str), map(str, parts), strict=True))
        python.append(f"part = frame[{plan.part!r}].map(str).map({meant!r}).to_numpy()")
    else:
        parts = np.full(len(frame), "train")
    groups = times = None
    dated = False
    if plan.group is not None:
        groups = read_groups(frame[plan.group], plan.group, place)
        texts = f"as_text(frame[{plan.group!r}]).to_numpy(object)"
        python.append(f"groups = np.unique({texts}, return_inverse=True)[1]")
    if plan.time is not None:
        spelling = time_spelling(frame[plan.time], plan.time, file)
        times = read_times(frame[plan.time], plan.time, spelling, place)
        dated = spelling.kind == "date"
        python.append(f"times = {times_python(plan.time, spelling)}")
    keys = keys_of(plan, groups, times, dated)
    check_given(plan, keys, parts)
    return Division(parts, keys, tuple(python))


def roles_of(plan: SplitPlan, overrules: Overrules) -> dict[str, str]:
    """Return why columns are no features: those that name groups and parts.

    Raises:
        RequestError: The user says how such a column is read.
    """
    found = {}
    reasons = {"group": "says which rows belong together", "part": "names each row's part"}
    for flag, reason in reasons.items():
        if (name := getattr(plan, flag)) is None:
            continue
        found[name] = f"--{flag}: {reason}"
        for other, names in overrules:
            if name in names and other != "drop":
                raise RequestError(
                    f"--{other} names {shown(name)}, which is the --{flag}", "a feature"
                )
    return found


def without_progress(feature: Feature, keys: SplitKeys, kept: bool) -> Feature:
    """Return what may be learnt of the column of times: the parts of the calendar that recur.

    The time itself, and the year, lie beyond all training rows in every row held out.

    Args:
        feature: The column as read.
        keys: The rows' times.
        kept: Whether the user keeps the column whole.
    """
    if kept or keys.times is None:
        return feature
    days = float(np.ptp(keys.times)) / 86_400.0 if keys.dated else 0.0
    recurs = {part for part, cycle in CYCLES.items() if days >= _LEAST_CYCLES * cycle}
    spellings = {n: s for n, s in feature.spellings.items() if s.part in recurs}
    values: Mapping[str, Any] = {name: feature.values[name] for name in spellings}
    parts = ", ".join(s.part for s in spellings.values())
    why = "--time: orders the rows; " + (f"{parts}" if parts else "what lies ahead is never learnt")
    column = replace(feature.column, used=bool(values), why=why)
    return replace(feature, column=column, values=values, spellings=spellings, notes=())
