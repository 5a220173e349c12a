"""Several columns to predict: labels that are on or off, or quantities."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trainstack.search.data.column_checks import Place
from trainstack.search.data.column_names import column_named, listed, shown
from trainstack.search.data.columns import as_text
from trainstack.search.data.raw import Raw
from trainstack.search.data.targets import Target, read_target
from trainstack.search.metrics.table import CLASSIFICATION, MULTILABEL, REGRESSION
from trainstack.spaces.errors import RequestError

# A data set's target: one column or several, as a study stores them.
TargetNames = str | tuple[str, ...]


def named(target: TargetNames) -> str:
    """Return the targets for a message.

    >>> named("price"), named(("a", "b"))
    ("'price'", "'a', 'b'")
    """
    return ", ".join(map(shown, [target] if isinstance(target, str) else target))


def as_flag(target: TargetNames) -> str:
    """Return the text for which `targets_named` finds the targets.

    >>> as_flag("a, b"), as_flag(("a, b", "c"))
    ('a, b', '"a, b",c')
    """
    if isinstance(target, str):
        return target
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(target)
    return text.getvalue()


def targets_named(target: str | Sequence[str], names: Sequence[str], file: str) -> tuple[str, ...]:
    """Return the columns that `--target` names.

    Args:
        target: The column's name; several names, also as one text with commas between them. A name
            that contains a comma is itself a column if there is one, else it stands in quotes.
        names: The table's columns.
        file: Name of the table, for messages.

    Raises:
        RequestError: A column does not exist or is named twice.

    >>> targets_named("a, b", ["a", "b", "a, b, c"], "t.csv")
    ('a', 'b')
    >>> targets_named("a, b, c", ["a", "b", "a, b, c"], "t.csv")
    ('a, b, c',)
    """
    wanted = listed(target, names) if isinstance(target, str) else list(target)
    if not all(name.strip() for name in wanted):
        raise RequestError(f"--target {target}", "names of columns with commas between them")
    found = tuple(column_named(name, names, "--target", file) for name in wanted)
    for place, name in enumerate(found):
        if name in found[:place]:
            raise RequestError(f"--target names {shown(name)} twice", "each column once")
    return found


def complete_rows(frame: Any, targets: Sequence[str]) -> Any:
    """Return which rows have a value of every target, bool [N]."""
    held = np.ones(len(frame), bool)
    for name in targets:
        held &= np.asarray(as_text(frame[name]) != "", bool)
    return held


def read_targets(
    frame: Any, names: Sequence[str], task: str, place: Place, comma: bool = False
) -> Target:
    """Read one target or several, without empty cells.

    Args:
        frame: The table.
        names: The columns to predict.
        task: `auto`, `classification`, `multilabel` or `regression`. Several targets are labels if
            each has two values, and quantities if none would be classes.
        place: Describes the position of a row in the file.
        comma: Whether columns of the file have decimal commas.

    Returns:
        The target; of several, `y` is [N, T].

    Raises:
        RequestError: A target cannot be read, or they are of different kinds.
    """
    if len(names) == 1:
        if task == MULTILABEL:
            raise RequestError(
                f"--task {MULTILABEL} for one target", "two targets or more", "--target a,b"
            )
        return read_target(frame[names[0]], names[0], task, place, comma)
    each = "classification" if task == MULTILABEL else task
    read = [read_target(frame[name], name, each, place, comma) for name in names]
    _check_kinds(names, read)
    numbers = read[0].task == "regression"
    return Target(
        np.column_stack([target.y for target in read]),
        "regression" if numbers else MULTILABEL,
        (),
        f"np.column_stack([{', '.join(target.python for target in read)}])",
        tuple(note for target in read for note in target.notes),
        tuple(warning for target in read for warning in target.warnings),
        labels=() if numbers else tuple((t.classes[0], t.classes[1]) for t in read),
    )


def with_targets(raw: Raw, task: str) -> Raw:
    """Return arrays with their targets named, if they have several of each row, [N, T].

    Columns of 0 and 1 are labels, others quantities. A matrix with a single 1 in every row is taken
    for classes by mistake (one-hot) unless the task says otherwise.

    Raises:
        RequestError: The targets are not of the task.
    """
    y = {name: part.y for name, part in raw.parts.items()}
    width = y["train"].shape[1] if y["train"].ndim == 2 else 1
    if raw.numeric or raw.text or width == 1 or y["train"].dtype.kind not in "biuf":
        return raw
    for name, each in y.items():
        if each.ndim != 2 or each.shape[1] != width:
            raise RequestError(f"y_{name} has shape {each.shape}", f"{width} columns, as y_train")
    binary = all(np.isin(each, (0, 1)).all() for each in y.values())
    if binary and task in ("auto", CLASSIFICATION) and (y["train"].sum(axis=1) == 1).all():
        raise RequestError(
            f"y_train has shape {y['train'].shape} with a single 1 in each row",
            "one label per row",
            f"undo one-hot with y.argmax(axis=1), or give --task {MULTILABEL}",
        )
    if not binary and task in (CLASSIFICATION, MULTILABEL):
        raise RequestError(
            f"y_train has shape {y['train'].shape}",
            "0 and 1 in several columns, or one label per row",
            "--task regression for quantities",
        )
    labels = binary and task != REGRESSION
    return replace(
        raw,
        task=MULTILABEL if labels else REGRESSION,
        target=tuple(f"y{place}" for place in range(width)),
        labels=(("0", "1"),) * width if labels else (),
    )


def _check_kinds(names: Sequence[str], read: Sequence[Target]) -> None:
    """Reject targets that are neither all labels nor all quantities."""
    wanted = "targets of two classes each, or quantities"
    hint = "--task regression if all are quantities, else one study for each target"
    kinds = {target.task: name for name, target in zip(names, read, strict=True)}
    odd = [
        (name, len(target.classes))
        for name, target in zip(names, read, strict=True)
        if target.task != "regression" and len(target.classes) != 2
    ]
    if odd:
        name, count = odd[0]
        raise RequestError(f"the target {shown(name)} has {count} class(es)", wanted, hint)
    if len(kinds) > 1:
        raise RequestError(
            f"the target {shown(kinds['classification'])} has classes, "
            f"{shown(kinds['regression'])} has numbers",
            wanted,
            hint,
        )
