"""Several inputs of a network: arrays `x_PART_NAME` of an archive, side by side in a row."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from trainstack.spaces.errors import RequestError

# Name and shape of each input.
Shapes = tuple[tuple[str, tuple[int, ...]], ...]


def input_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of several inputs among an archive's names, in order; empty: there are none.

    >>> input_names(("x_train_image", "x_train_table", "y_train", "x_test_image"))
    ('image', 'table')
    """
    start = "x_train_"
    return tuple(name[len(start) :] for name in names if name.startswith(start))


def side_by_side(
    arrays: Mapping[str, np.ndarray], part: str, inputs: tuple[str, ...]
) -> tuple[np.ndarray, Shapes]:
    """Return the inputs of a part as rows [N, D], and their names and shapes.

    Args:
        arrays: The archive's arrays by name.
        part: `train`, `valid` or `test`.
        inputs: Names of the inputs.

    Raises:
        RequestError: An input is missing, or has another number of rows.
    """
    found = []
    for name in inputs:
        label = f"x_{part}_{name}"
        if label not in arrays:
            raise RequestError(f"the archive lacks {label}", "every input in every part")
        array = arrays[label]
        if array.dtype.kind not in "biuf" or array.ndim == 0:
            raise RequestError(f"{label} holds {array.dtype} values", "numbers, one row each")
        found.append(array if array.ndim > 1 else array[:, None])
    rows = {name: len(array) for name, array in zip(inputs, found, strict=True)}
    if len({*rows.values()}) > 1:
        shown = ", ".join(f"x_{part}_{name} {count}" for name, count in rows.items())
        raise RequestError(f"inputs have several numbers of rows ({shown})", "as many of each")
    flat = [array.reshape(len(array), -1) for array in found]
    shapes = [array.shape[1:] for array in found]
    return np.concatenate(flat, axis=1), tuple(zip(inputs, shapes, strict=True))


def column_names(shapes: Shapes) -> tuple[str, ...]:
    """Return a name for each number of a row.

    >>> column_names((("image", (1, 2)), ("age", (1,))))
    ('image0', 'image1', 'age0')
    """
    return tuple(f"{name}{k}" for name, shape in shapes for k in range(math.prod(shape)))


def python_of(part: str, inputs: tuple[str, ...]) -> str:
    """Return a line of Python that puts a part's inputs side by side."""
    each = ", ".join(f'archive["x_{part}_{name}"]' for name in inputs)
    return f"x_{part} = np.concatenate([a.reshape(len(a), -1) for a in ({each},)], axis=1)"
