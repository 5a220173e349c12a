"""The columns of a table that decide where rows may go: groups, times, names of parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trainstack.search.data.column_checks import Place, refuse_ambiguous
from trainstack.search.data.column_names import column_named, shown
from trainstack.search.data.columns import as_text
from trainstack.search.data.spelling import Spelling, decide
from trainstack.search.data.split_keys import EPOCH
from trainstack.search.data.split_plan import SplitPlan
from trainstack.search.data.text_values import to_numbers
from trainstack.spaces.errors import RequestError

# Part → its spellings in a column of parts, in lower case.
PART_WORDS = {
    "train": ("train", "training", "fit"),
    "valid": ("valid", "validation", "validate", "val", "dev", "development"),
    "test": ("test", "testing", "holdout", "hold-out", "held-out"),
}
# Times are rounded to this many decimals of a second, so that equal ones are equal numbers.
_DECIMALS = 3


def columns_named(
    plan: SplitPlan, names: Sequence[str], targets: Sequence[str], file: str
) -> SplitPlan:
    """Return a plan with the names of its columns as in a file.

    Raises:
        RequestError: A column does not exist or is a target.
    """
    found = {}
    for flag in ("group", "time", "part"):
        if (wanted := getattr(plan, flag)) is not None:
            found[flag] = column_named(wanted, names, f"--{flag}", file)
            if found[flag] in targets:
                raise RequestError(
                    f"--{flag} names the target {shown(found[flag])}",
                    "a column that is not predicted",
                )
    return replace(plan, **found)


def read_parts(cells: Any, name: str, place: Place) -> np.ndarray:
    """Return each row's part, `train`, `valid` or `test`, [N].

    Args:
        cells: The column that names them, indexed by row.
        name: Its name.
        place: Describes the position of a row.

    Raises:
        RequestError: A cell names no part, or there are no training rows or no others.
    """
    meant = {word: part for part, words in PART_WORDS.items() for word in words}
    texts = as_text(cells)
    found = texts.str.lower().map(meant)
    if (odd := found.isna().to_numpy()).any():
        text = texts.iloc[int(odd.argmax())]
        held = f"holds '{text}'" if text else "has no value"
        raise RequestError(
            f"the part {shown(name)} {held} in {place(int(cells.index[int(odd.argmax())]))}",
            "train, valid or test in every row",
        )
    parts = found.to_numpy(str)
    if (parts == "train").all() or not (parts == "train").any():
        raise RequestError(
            f"the part {shown(name)} is '{texts.iloc[0]}' in every row"
            if len(set(parts)) == 1
            else f"the part {shown(name)} names no training rows",
            "train, and valid or test",
        )
    return parts


def read_groups(cells: Any, name: str, place: Place) -> np.ndarray:
    """Return the number of each row's group, int64 [N].

    Args:
        cells: The column of groups, indexed by row.
        name: Its name.
        place: Describes the position of a row.

    Raises:
        RequestError: A row has no group.
    """
    texts = as_text(cells)
    _refuse_empty(texts, cells, f"the group {shown(name)}", place)
    return np.unique(texts.to_numpy(object), return_inverse=True)[1].astype(np.int64)


def time_spelling(cells: Any, name: str, file: str) -> Spelling:
    """Return how a column's times are read: as dates, or as numbers.

    Raises:
        RequestError: They are neither, or only times of a day.
    """
    distinct = set(as_text(cells))
    spelling = decide(distinct, words=())
    refuse_ambiguous(spelling, distinct, name, file)
    wanted = "dates such as 2024-01-31, or numbers that rise with time"
    if spelling.kind not in ("date", "number"):
        odd = next((text for text in sorted(distinct) if text and _alone(text) is None), "")
        held = f"such as '{odd}'" if odd else "of several formats"
        raise RequestError(f"the time {shown(name)} of {file} holds text {held}", wanted)
    if spelling.is_time:
        raise RequestError(f"the time {shown(name)} of {file} holds times of a day", wanted)
    return replace(spelling, origin=EPOCH) if spelling.kind == "date" else spelling


def _alone(text: str) -> str | None:
    """Return the kind of a single text if it could be a time, else None."""
    kind = decide([text], words=()).kind
    return kind if kind in ("date", "number") else None


def read_times(cells: Any, name: str, spelling: Spelling, place: Place) -> np.ndarray:
    """Return the time of each row, float64 [N]: of dates the seconds since 1970.

    Args:
        cells: The column of times, indexed by row.
        name: Its name.
        spelling: How it is read; see `time_spelling`.
        place: Describes the position of a row.

    Raises:
        RequestError: A row has no time, or an infinite one.
    """
    texts = as_text(cells)
    _refuse_empty(texts, cells, f"the time {shown(name)}", place)
    times = np.array(to_numbers(texts, **spelling.arguments()))
    if spelling.kind == "date":
        times = np.round(times * 86_400.0, _DECIMALS)
    if not np.isfinite(times).all():
        row = int(cells.index[int((~np.isfinite(times)).argmax())])
        raise RequestError(f"the time {shown(name)} is infinite in {place(row)}", "a finite number")
    return times


def times_python(name: str, spelling: Spelling) -> str:
    """Return the Python expression that computes what `read_times` does, from `frame`."""
    options = "".join(f", {key}={value!r}" for key, value in spelling.arguments().items())
    numbers = f"np.array(to_numbers(as_text(frame[{name!r}]){options}))"
    if spelling.kind == "date":
        return f"np.round({numbers} * {86_400.0}, {_DECIMALS})"
    return numbers


def _refuse_empty(texts: Any, cells: Any, what: str, place: Place) -> None:
    if (empty := (texts == "").to_numpy(bool)).any():
        row = int(cells.index[int(empty.argmax())])
        raise RequestError(f"{what} is missing in {place(row)}", "a value in every row")
