"""New rows of arrays: an archive with `x`, or every row of data as a study reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainstack.search.data.catalogue import DATASETS
from trainstack.search.data.checks import check_finite
from trainstack.search.data.load import load
from trainstack.search.data.model_description import ModelDescription
from trainstack.search.data.npz import DAMAGED, weights_of_rows
from trainstack.spaces.errors import RequestError


@dataclass(frozen=True, eq=False)
class NewArrays:
    """Rows to predict.

    Attributes:
        x: The rows, [N, ...] in the model's shape.
        y: Their targets as a model's labels or numbers, [N] or [N, T]; None if there are none.
        weights: Their weights, float64 [N]; None: all are 1.
    """

    x: np.ndarray
    y: np.ndarray | None
    weights: np.ndarray | None = None


def read_arrays(source: str, model: ModelDescription) -> NewArrays:
    """Read the rows of a named data set, an `.npz` archive or a folder of IDX files.

    An archive with `x` holds new rows, and in `y` and `w` perhaps their targets and weights. Of
    other data all rows are taken: those for training, for validation and for testing, in this
    order.

    Raises:
        RequestError: The data cannot be read, or has rows of another shape.
    """
    found = _archive(Path(source), model) if _is_archive_of_rows(source) else _all(source, model)
    features = int(np.prod(model.shape))
    if found.x[:1].size != features:
        raise RequestError(
            f"the rows of {source} have {found.x[:1].size} features", f"{features}, as in training"
        )
    if found.x.dtype.kind not in "biuf":
        raise RequestError(f"{source} holds {found.x.dtype} values", "numbers")
    x = found.x.reshape(len(found.x), -1)
    check_finite(x, source)
    return NewArrays(x.reshape(-1, *model.shape), found.y, found.weights)


def _is_archive_of_rows(source: str) -> bool:
    path = Path(os.path.expanduser(source))
    if source in DATASETS or path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        with np.load(path) as archive:
            return "x" in archive.files
    except (*DAMAGED, OSError):
        return False  # the usual reader says what is wrong


def _archive(path: Path, model: ModelDescription) -> NewArrays:
    try:
        with np.load(os.path.expanduser(path)) as archive:
            held = {name: archive[name] for name in ("x", "y", "w") if name in archive.files}
    except (*DAMAGED, OSError) as error:
        raise RequestError(f"{path} cannot be read ({error})", "what numpy.savez writes") from None
    rows = {name: len(array) if array.ndim else 0 for name, array in held.items()}
    if len({*rows.values()}) > 1:
        raise RequestError(f"{path} has arrays of {sorted(rows.values())} rows", "one number")
    if not rows["x"]:
        raise RequestError(f"{path} has no rows", "rows to predict")
    y, w = held.get("y"), held.get("w")
    return NewArrays(
        held["x"],
        None if y is None else _targets(y, model, f"y in {path}"),
        None if w is None else weights_of_rows(w, rows["w"], f"w in {path}"),
    )


def _targets(y: np.ndarray, model: ModelDescription, label: str) -> np.ndarray:
    """Return an archive's targets as a model's labels or numbers, [N] or [N, T].

    Args:
        y: The array.
        model: The model.
        label: Names the array in messages.
    """
    columns = max(1, len(model.targets))
    if y.size != len(y) * columns:
        each = "one target per row" if columns == 1 else f"{columns} targets per row"
        raise RequestError(f"{label} has shape {y.shape}", each)
    y = y.reshape(len(y), columns) if model.targets else y.reshape(-1)
    if model.task == "regression":
        if y.dtype.kind not in "biuf":
            raise RequestError(f"{label} holds {y.dtype} values", "numbers")
        check_finite(y, label)
        return y.astype(np.float64)
    # Whole numbers are labels however they are stored, as in training.
    if y.dtype.kind == "b" or (y.dtype.kind == "f" and (y == np.round(y)).all()):
        y = y.astype(np.int64)
    return _coded(y.astype(str), [model.classes] if model.classes else model.labels, label)


def _all(source: str, model: ModelDescription) -> NewArrays:
    dataset = load(os.path.expanduser(source) if source not in DATASETS else source)
    if dataset.is_table:
        raise RequestError(f"{source} is a table", "arrays, as in training")
    x, y, w = (
        None if any(part is None for part in parts) else np.concatenate(parts)
        for parts in zip(*dataset.parts.values(), strict=True)
    )
    assert x is not None
    known = (dataset.classes, len(dataset.labels)) == (model.classes, len(model.labels))
    if dataset.classes and model.classes and y is not None:
        y, known = _coded(np.array(dataset.classes)[y], [model.classes], source), True
    return NewArrays(x, y if known else None, w)


def _coded(names: np.ndarray, values: list | tuple, source: str) -> np.ndarray:
    """Return the labels of names [N], or [N, T] of several targets."""
    columns = names.reshape(len(names), -1).T
    coded = []
    for column, known in zip(columns, values, strict=True):
        if unknown := sorted({*column.tolist()} - {*known}):
            raise RequestError(
                f"{source} has the class '{unknown[0]}', which training had not",
                ", ".join(known[:12]),
            )
        coded.append([known.index(name) for name in column.tolist()])
    return np.array(coded).T.reshape(names.shape)
