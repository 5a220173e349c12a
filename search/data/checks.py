"""Validation of data before a study uses it; each fault has a one-line message."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trainstack.search.data.column_names import shown
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.kinds import MAX_AUTO_CLASSES
from trainstack.search.data.part import Part
from trainstack.search.data.raw import Raw
from trainstack.search.data.several_targets import with_targets
from trainstack.search.data.spelling import numbers_of
from trainstack.search.data.split_checks import check_groups, check_times
from trainstack.search.metrics.table import CLASSIFICATION, MULTILABEL, REGRESSION
from trainstack.spaces.errors import RequestError, suggestion

# With five rows per class, the test and validation parts each get one row of it.
MIN_ROWS_PER_CLASS = 5
# Least mean rows per class so that both held-out parts have room for one row of each class.
MIN_MEAN_ROWS_PER_CLASS = 7
MIN_ROWS = 20
TASKS = ("auto", CLASSIFICATION, MULTILABEL, REGRESSION)
# Beyond these, sums of predictions overflow float32, and differences are rounded to 0.
_LARGEST_TARGET, _LEAST_SPREAD = 1e36, 1e-36
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def finish(raw: Raw, source: str, task: str) -> Dataset:
    """Validate a reader's data and determine its task.

    Args:
        raw: The reader's arrays or frame.
        source: A data set's name, or an absolute path.
        task: One of TASKS.

    Raises:
        RequestError: The data or the request cannot be used.
    """
    check_task(task)
    raw = with_targets(raw, task)
    asked = MULTILABEL if raw.labels and task == CLASSIFICATION else task
    if raw.task != "auto" and asked not in ("auto", raw.task):
        raise RequestError(f"--task {task} for {source}", f"{raw.task}, which is its task")
    decided = next((t for t in (raw.task, task) if t != "auto"), None) or _task_of(raw.parts)
    if decided == MULTILABEL and not raw.labels:
        raise RequestError(f"--task {MULTILABEL} for {source}", "several targets", "--target a,b")
    notes = list(raw.notes)
    shape, unlabelled = None, raw.unlabelled
    parts = dict(raw.parts)
    if not (raw.numeric or raw.text):
        shape = parts["train"].x.shape[1:]
        several = isinstance(raw.target, tuple)
        parts = {name: _array_part(part, name, several) for name, part in parts.items()}
        _check_widths(raw.parts)
        if unlabelled is not None:
            unlabelled = _unlabelled(unlabelled, raw.parts["train"].x)
        if len(shape) > 1:
            sizes = " × ".join(map(str, shape))
            notes.append(f"Each example of {sizes} is flattened to {int(np.prod(shape))} features.")
    classes = raw.classes
    if decided == CLASSIFICATION:
        parts = {name: Part(x, _labels(y, name), w) for name, (x, y, w) in parts.items()}
        count = _check_classes(parts, source)
        classes = classes or tuple(str(k) for k in range(count))
    elif decided == MULTILABEL:
        parts = {name: part._replace(y=part.y.astype(np.int32)) for name, part in parts.items()}
        _check_labels(parts["train"].y, raw, source)
    else:
        parts = {name: Part(x, _numbers(y, name), w) for name, (x, y, w) in parts.items()}
        classes = ()
        _check_variation(parts["train"].y, raw, source)
    _check_rows(parts, classes, source)
    needed = 1 + sum(part not in parts for part in ("valid", "test"))
    check_groups(raw.keys, parts["train"].y, classes, needed, raw.plan.group or "")
    check_times(raw.keys, needed, raw.plan.time or "")
    width = parts["train"].x.shape[1]
    return Dataset(
        source=source,
        target=raw.target,
        task=decided,
        parts=parts,
        classes=classes,
        labels=raw.labels,
        columns=raw.columns or tuple(f"x{column}" for column in range(width)),
        numeric=raw.numeric,
        text=raw.text,
        spellings=raw.spellings,
        origins=raw.origins,
        described=raw.described,
        overrules=raw.overrules,
        unlabelled=unlabelled,
        image_shape=shape if shape is not None and len(shape) > 1 else None,
        named_inputs=raw.inputs,
        warnings=raw.warnings,
        notes=tuple(notes),
        python=raw.python,
        plan=raw.plan,
        keys=raw.keys,
    )


def check_task(task: str) -> None:
    """Check the name of a task.

    Raises:
        RequestError: It is not one of TASKS.
    """
    if task not in TASKS:
        names = "one of " + ", ".join(TASKS)
        raise RequestError(f"--task {task}", names, suggestion(task, TASKS))


def _check_variation(y: np.ndarray, raw: Raw, source: str) -> None:
    """Reject a quantity, or one of several, that has a single value or a unit out of range."""
    for place, column in enumerate(y.reshape(len(y), -1).T):
        of = source if isinstance(raw.target, str | None) else shown(raw.target[place])
        largest, spread = np.abs(column).max(), np.ptp(column)
        if spread == 0:
            raise RequestError(f"every target of {of} is {column[0]:g}", "variation")
        if largest > _LARGEST_TARGET or spread < _LEAST_SPREAD:
            raise RequestError(
                f"the targets of {of} are numbers up to {largest:.3g} that differ by {spread:.3g}",
                f"numbers up to {_LARGEST_TARGET:g} that differ by at least {_LEAST_SPREAD:g}",
                "give them in another unit",
            )


def _check_labels(y: np.ndarray, raw: Raw, source: str) -> None:
    """Reject a label of which one value is too rare to be in every part."""
    assert isinstance(raw.target, tuple)
    for name, values, on in zip(raw.target, raw.labels, y.sum(axis=0), strict=True):
        counts = (len(y) - int(on), int(on))
        rarest = int(np.argmin(counts))
        if counts[rarest] < MIN_ROWS_PER_CLASS:
            raise RequestError(
                f"the target {shown(name)} of {source} is '{values[rarest]}' in "
                f"{counts[rarest]} row(s)",
                f"at least {MIN_ROWS_PER_CLASS} of each value, for training, validation and test",
                "leave that target out",
            )


def _task_of(parts: Mapping[str, Part]) -> str:
    """Take whole-number (or boolean) labels as classes, other numbers as a quantity.

    Floats count as whole numbers if all are and at most 20 values are distinct.
    """
    y = parts["train"].y
    if y.dtype.kind != "f":
        return "classification" if y.dtype.kind in "biu" else "regression"
    distinct = np.unique(y)
    whole = bool(np.isfinite(distinct).all() and (distinct == np.round(distinct)).all())
    return "classification" if whole and len(distinct) <= MAX_AUTO_CLASSES else "regression"


def _array_part(part: Part, name: str, several: bool) -> Part:
    """Return rows × features in uint8, float32 or float64, and one target per row or several."""
    x, y, w = part
    for array, label in ((x, f"x_{name}"), (y, f"y_{name}")):
        if array.dtype.kind not in "biuf":
            raise RequestError(f"{label} holds {array.dtype} values", "numbers")
        if array.ndim == 0 or array.size == 0:
            raise RequestError(f"{label} has shape {array.shape}", "at least one row")
    if y.ndim > 1 and y.size == len(y):
        y = y.reshape(-1)
    if y.ndim > 1 and not several:
        raise RequestError(
            f"y_{name} has shape {y.shape}", "one target per row, or a column of each"
        )
    if len(x) != len(y):
        raise RequestError(f"x_{name} has {len(x)} rows and y_{name} {len(y)}", "as many of both")
    return Part(_flat(x, f"x_{name}"), y, w)


def _flat(x: np.ndarray, label: str) -> np.ndarray:
    """Return finite numbers as rows × features in uint8, float32 or float64."""
    x = x.reshape(len(x), -1)
    check_finite(x, label)
    if x.dtype == np.uint8:
        return x
    # Types that float32 holds exactly (halves, short whole numbers) are stored as float32.
    exact = np.can_cast(x.dtype, np.float32, "safe")
    return x.astype(np.float32 if exact else np.float64, copy=False)


def _unlabelled(x: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """Return the rows without a target, checked against those of the training part."""
    if x.dtype.kind not in "biuf":
        raise RequestError(f"x_unlabelled holds {x.dtype} values", "numbers")
    if x.ndim == 0 or x.size == 0:
        raise RequestError(f"x_unlabelled has shape {x.shape}", "at least one row")
    if x.shape[1:] != trained.shape[1:]:
        raise RequestError(
            f"one row of x_unlabelled has shape {x.shape[1:]} and of x_train {trained.shape[1:]}",
            "the same features in both",
        )
    return _flat(x, "x_unlabelled")


def check_finite(x: np.ndarray, label: str) -> None:
    """Reject NaN, infinity and numbers beyond float32.

    Args:
        x: Numbers, [N, D] or [N].
        label: Names the array in the message.

    Raises:
        RequestError: There are such values; the message gives their number and the first.
    """
    if x.dtype.kind != "f":
        return
    good = np.isfinite(x)
    if x.dtype.itemsize > 4:
        good &= np.abs(x) <= _FLOAT32_MAX
    if not good.all():
        where = tuple(int(i) for i in np.argwhere(~good)[0])
        at = f"row {where[0]}" + (f", feature {where[1]}" if len(where) > 1 else "")
        raise RequestError(
            f"{label} holds {int((~good).sum())} value(s) that are NaN, infinite or beyond float32 "
            f"(the first, {x[where]}, at {at})",
            "finite numbers",
            "fill or drop them; a table (.csv, .parquet) may have missing values",
        )


def _check_widths(parts: Mapping[str, Part]) -> None:
    shapes = {name: part.x.shape[1:] for name, part in parts.items()}
    for name, shape in shapes.items():
        if shape != shapes["train"]:
            raise RequestError(
                f"one row of x_{name} has shape {shape} and of x_train {shapes['train']}",
                "the same features in every part",
            )


def _labels(y: np.ndarray, name: str) -> np.ndarray:
    check_finite(y, f"y_{name}")
    if y.dtype.kind == "f" and not (y == np.round(y)).all():
        raise RequestError(
            f"y_{name} holds {y[y != np.round(y)][0]:g}",
            "whole labels from 0",
            "or give --task regression",
        )
    if y.dtype.kind != "b" and (y.min() < 0 or y.max() > np.iinfo(np.int32).max):
        raise RequestError(f"y_{name} holds the label {y.min():g}", "labels 0 to K-1")
    return y.astype(np.int32)


def _numbers(y: np.ndarray, name: str) -> np.ndarray:
    check_finite(y, f"y_{name}")
    return y.astype(np.float64)


def _check_classes(parts: dict[str, Part], source: str) -> int:
    """Return K after checking that training labels cover 0 to K-1 and no part has others."""
    present = np.unique(parts["train"].y)
    highest = int(max(part.y.max() for part in parts.values()))
    if len(present) == 1:
        raise RequestError(f"{source} has a single class", "two or more classes to tell apart")
    if not np.array_equal(present, np.arange(highest + 1)):
        lacking = int(np.setdiff1d(np.arange(min(highest, len(present)) + 1), present)[0])
        hint = "subtract 1 from each" if present[0] == 1 else "renumber them"
        if source and not source.endswith(".npz"):
            hint = "give rows of every class"
        raise RequestError(
            f"the training labels of {source} run from {present[0]} to {highest} without {lacking}",
            f"every label from 0 to {max(highest, 1)}" if present[0] == 0 else "labels 0 to K-1",
            f"{hint}, or --task regression if they are a quantity",
        )
    return len(present)


def _check_rows(parts: dict[str, Part], classes: tuple[str, ...], source: str) -> None:
    """Reject data too small to be split, unless its parts are given.

    Rows of weight 0 do not count.
    """
    _, y, weights = parts["train"]
    weighty = "" if weights is None else " with a weight above 0"
    y = y if weights is None else y[weights > 0]
    rows = len(y)
    quantity = (
        ", or use --task regression for a quantity" if classes and numbers_of(classes) else ""
    )
    if "valid" in parts and "test" in parts:
        needed, why = 2, "for training"
    else:
        needed = max(MIN_ROWS, MIN_MEAN_ROWS_PER_CLASS * len(classes))
        why = "to split into training, validation and test"
    if rows < needed:
        of = f" of {len(classes)} classes" if classes else ""
        raise RequestError(
            f"{source} has {rows} rows{of}{weighty}",
            f"at least {needed} {why}",
            f"add rows{quantity}",
        )
    if not classes or ("valid" in parts and "test" in parts):
        return
    counts = np.bincount(y, minlength=len(classes))
    rarest = int(counts.argmin())
    if counts[rarest] < MIN_ROWS_PER_CLASS:
        raise RequestError(
            f"class '{classes[rarest]}' of {source} has {counts[rarest]} row(s){weighty}",
            f"at least {MIN_ROWS_PER_CLASS} of each class, for training, validation and test",
            f"drop it or merge it with another class{quantity}",
        )
