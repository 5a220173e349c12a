"""Keras variables: numbers of an optimizer as variables, and reading and assigning several."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Knob(keras.Variable):
    """An optimizer's number as a variable; Keras only compares it with zero."""

    def __ne__(self, other: object) -> bool:  # type: ignore[override]
        return True

    __hash__ = keras.Variable.__hash__


def values(variables: list[Any]) -> list[tf.Tensor]:
    """Return the current values of Keras variables."""
    return [tf.convert_to_tensor(variable.value) for variable in variables]


def assign(variables: list[Any], tensors: list[Any]) -> None:
    """Assign to each Keras variable its tensor or array."""
    for variable, tensor in zip(variables, tensors, strict=True):
        variable.assign(tensor)


def put(variable: keras.Variable, index: int, value: Any) -> None:
    """Assign a tensor or array to one entry of a variable's first axis.

    Assigned as a slice, TensorFlow would copy the whole variable whenever it is read afterwards,
    which a step of a bundle does for all weights and slots.
    """
    entry = tf.convert_to_tensor(value, variable.dtype)[None]
    variable.assign(tf.tensor_scatter_nd_update(variable.value, [[index]], entry))


def thrifty(value: np.ndarray) -> np.ndarray:
    """Return a single number if all are equal (mostly zeros and ones), else the array."""
    flat = value.reshape(-1)
    return flat[0] if flat.size and (flat == flat[0]).all() else value
