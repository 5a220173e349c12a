"""The inputs of a user's own network: the data in its shape, or a table's columns by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainstack.search.data.column_names import shown
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.overrules import columns_named
from trainstack.search.data.several_inputs import Shapes
from trainstack.spaces.errors import RequestError

# Name of a single input, and of the columns that no `--input` names.
INPUTS, REST = "inputs", "rest"
FLAG = "--input"


@dataclass(frozen=True)
class OwnInputs:
    """The inputs of a network.

    Attributes:
        shapes: Name and shape of each.
        places: Places in a row of the numbers of each; empty: they follow one another.
    """

    shapes: Shapes
    places: tuple[tuple[int, ...], ...] = ()


def inputs_of(dataset: Dataset, asked: Sequence[str] = ()) -> OwnInputs:
    """Return the inputs of a network.

    Images [N, H, W] of bytes have one channel: [H, W, 1].

    Args:
        dataset: The data.
        asked: Inputs of a table's columns, each `NAME=COLUMN,COLUMN`. The columns that none names
            are the input `rest`.

    Raises:
        RequestError: The data is no table, a name is wrong or given twice, or a column is not used.
    """
    if asked:
        return _of_columns(dataset, asked)
    if dataset.named_inputs:
        return OwnInputs(dataset.named_inputs)
    if dataset.is_table or dataset.image_shape is None:
        return OwnInputs(((INPUTS, (dataset.features,)),))
    shape = dataset.image_shape
    if len(shape) == 2 and dataset.x.dtype == np.uint8:
        shape = (*shape, 1)
    return OwnInputs(((INPUTS, shape),))


def _of_columns(dataset: Dataset, asked: Sequence[str]) -> OwnInputs:
    """Return inputs of a table's columns."""
    if not dataset.is_table:
        raise RequestError(
            f"{FLAG} {asked[0]} for data without columns",
            "a .csv or .parquet table",
            "several inputs of an .npz archive are its arrays x_train_NAME",
        )
    columns = _columns_of_features(dataset)
    names: dict[str, list[str]] = {}
    for text in asked:
        name, equals, listed = text.partition("=")
        if not equals or not name.isidentifier():
            raise RequestError(f"{FLAG} {text}", "NAME=COLUMN,COLUMN, such as text=length,words")
        if name in names:
            raise RequestError(f"{FLAG} names the input {name} twice", "all its columns at once")
        names[name] = _used(dataset, columns, listed)
    named = [column for listed in names.values() for column in listed]
    if twice := next((column for column in named if named.count(column) > 1), None):
        raise RequestError(f"{FLAG} names {shown(twice)} twice", "each column in one input")
    if rest := [column for column in dict.fromkeys(columns) if column not in named]:
        if REST in names:
            raise RequestError(
                f"{FLAG} names the input {REST}",
                "another name: it has the columns that no input names",
            )
        names[REST] = rest
    if len(names) < 2:
        raise RequestError(f"{FLAG} names one input for all columns", "columns for two or more")
    places = tuple(
        tuple(place for place, column in enumerate(columns) if column in listed)
        for listed in names.values()
    )
    return OwnInputs(
        tuple((name, (len(each),)) for name, each in zip(names, places, strict=True)), places
    )


def _used(dataset: Dataset, columns: Sequence[str], listed: str) -> list[str]:
    """Return the columns that an input lists, each of which has features."""
    known = [column.name for column in dataset.described]
    why = {column.name: column.why for column in dataset.described}
    found = columns_named(listed, known, FLAG, dataset.source.rpartition("/")[2])
    for column in found:
        if column not in columns:
            raise RequestError(
                f"{FLAG} names {shown(column)}, which is left out ({why[column]})",
                "a column that is used",
                "--keep uses a column that would be left out",
            )
    return found


def _columns_of_features(dataset: Dataset) -> list[str]:
    """Return the table's column of each feature, in the encoder's order."""
    one = [*dataset.numeric, *dataset.has_missing]
    several = zip(dataset.text, dataset.inputs.categories, strict=True)
    found = [*one, *(name for name, count in several for _ in range(count))]
    return [dataset.origins.get(name, name) for name in found]
