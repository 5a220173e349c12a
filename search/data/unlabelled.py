"""Rows without a target: left out, or kept to pretrain the lower layers of networks.

They are in no part: nothing is fitted to them, scored or tested on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.data.columns import as_text
from trainstack.search.data.split_columns import PART_WORDS
from trainstack.spaces.errors import RequestError, suggestion

if TYPE_CHECKING:
    from trainstack.search.data.split_plan import SplitPlan

KEEP, DROP = "keep", "drop"


def check_unlabelled(asked: str | None, plan: SplitPlan) -> None:
    """Check the value of `--unlabelled`.

    Raises:
        RequestError: It is neither `keep` nor `drop`, or rows are held out by group or time.
    """
    if asked not in (None, KEEP, DROP):
        hint = suggestion(asked, (KEEP, DROP))
        raise RequestError(f"--unlabelled {asked}", f"{KEEP} or {DROP}", hint)
    for flag, value in plan:
        if asked == KEEP and flag in ("group", "time"):
            raise RequestError(
                f"--unlabelled {KEEP} with --{flag} {value}",
                "one of them",
                f"rows without a target could be of a {flag} that is held out",
            )


def nothing_to_keep(source: str, held: str = "") -> RequestError:
    """Return the error of `--unlabelled keep` for data without such rows.

    Args:
        source: The data.
        held: What it has instead; empty: it cannot have such rows.
    """
    problem = f"--unlabelled {KEEP}: {held}" if held else f"--unlabelled {KEEP} for {source}"
    return RequestError(
        problem,
        "rows without a target: cells that are empty, or x_unlabelled in an .npz",
        "leave the flag out",
    )


def rows_to_keep(
    frame: Any, held: np.ndarray, parts: np.ndarray | None, part: str | None
) -> np.ndarray:
    """Return which rows of a table have no target and may be trained on, bool [N].

    Args:
        frame: The table.
        held: Which rows have a value of every target.
        parts: Each row's part if the table has several files.
        part: Column that names each row's part, or None.
    """
    kept = ~np.asarray(held, bool)
    if parts is not None:
        kept &= parts == "train"
    if part is not None:
        texts = as_text(frame[part]).str.lower()
        kept &= np.asarray(texts.isin(PART_WORDS["train"]), bool)
    return kept


def sentences(held: np.ndarray, aside: np.ndarray, target: str) -> list[str]:
    """Return what becomes of rows without a target, in words.

    Args:
        held: Which rows have a value of every target.
        aside: Which of the others are kept.
        target: The target, in words.
    """
    kept = int(aside.sum())
    left = len(held) - int(held.sum()) - kept
    found = [f"{kept} row(s) without a value of {target} are kept for pretraining."] if kept else []
    return found + [f"{left} row(s) without a value of {target} are left out."] * bool(left)


def setting_aside(
    targets: Sequence[str], parted: bool, part: str | None
) -> tuple[list[str], list[str], list[str]]:
    """Return lines of Python that set such rows of `frame` aside.

    Args:
        targets: The columns to predict.
        parted: Whether `part` has each row's part, as of several files.
        part: Column that names each row's part, or None.

    Returns:
        Lines before rows without a target are left out; those that take them back, before the
        columns are read; and those that divide `x_train` into both.
    """
    tests = [f'(as_text(frame[{target!r}]) != "")' for target in targets]
    held = " & ".join(tests)
    train = ""
    if parted:
        train = 'part == "train"'
    elif part is not None:
        train = f"as_text(frame[{part!r}]).str.lower().isin({PART_WORDS['train']!r})"
    every = f"frame[{held} | ({train})]" if train else "frame"
    return (
        [f"every_row = {every}"],
        ["labelled, frame = frame.index, every_row"],
        ["x_unlabelled = x_train.drop(labelled)", "x_train = x_train.loc[labelled]"],
    )
