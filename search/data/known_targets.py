"""Targets of new rows, where they are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.data.columns import as_text
from trainstack.search.data.missing_targets import holds_target
from trainstack.search.data.model_description import ModelDescription
from trainstack.search.data.targets import read_target
from trainstack.search.data.weight_column import read_weights
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd


def known_rows(cells: pd.DataFrame, model: ModelDescription) -> np.ndarray:
    """Return which rows have a value of every target, bool [N]."""
    held = [
        holds_target(as_text(cells[name]), known)
        for name, known in zip(model.target_columns, _known(model), strict=True)
    ]
    return np.logical_and.reduce(held)


def known_targets(
    cells: pd.DataFrame, model: ModelDescription, place: Callable[[int], str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return targets as a model's labels or numbers, [N] or [N, T], and the rows' weights [N].

    Weights are 1 if training had none, or the table has not their column.

    Args:
        cells: Columns of rows whose targets are known; the index is each row's position.
        model: The model.
        place: Describes a row by its position.

    Raises:
        RequestError: A target is no class of training, or no number.
    """
    comma = any(how.decimal == "," for how in model.spellings.values())
    found = [
        _target(cells[name], name, known, place, comma)
        for name, known in zip(model.target_columns, _known(model), strict=True)
    ]
    y = np.stack(found, axis=1) if model.targets else found[0]
    weights = np.ones(len(cells))
    if model.weight is not None and model.weight in cells:
        weights = read_weights(cells[model.weight], model.weight, place, comma).values
    return y, weights


def _known(model: ModelDescription) -> list[tuple[str, ...]]:
    """Return the classes of each target; none for a quantity."""
    values = [model.classes] if model.classes else [*model.labels] or [()]
    return values if len(values) == len(model.target_columns) else values * len(model.targets)


def _target(
    column: pd.Series,
    name: str,
    known: tuple[str, ...],
    place: Callable[[int], str],
    comma: bool,
) -> Any:
    if {*(texts := as_text(column))} <= {*known}:
        # Some classes alone, such as 5% and 10% of 5%, 10% and unknown, could be read as numbers.
        return texts.map(known.index).to_numpy(np.int64)
    task = "classification" if known else "regression"
    read = read_target(column, name, task, place, comma)
    if not known:
        return read.y
    for k, label in enumerate(read.classes):
        if label not in known:
            where = place(int(column.index[int(np.argmax(read.y == k))]))
            raise RequestError(
                f"{where}: the target '{name}' is '{label}', which training had not",
                ", ".join(known[:12]),
            )
    return np.array([known.index(label) for label in read.classes])[read.y]
