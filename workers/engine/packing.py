"""Packing a model's trainable variables into a few flat ones."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Packing:
    """Packs a model's trainable variables into a few flat ones for the optimizer.

    Every optimizer here works element by element, so the arithmetic is the same. The cost of
    tracing (and without XLA that of each step) grows with the number of variables. Compiled
    programs keep large kernels separate: copying them in every step costs more than it saves.
    """

    # Elements up to which a variable is packed with others in a compiled program.
    SMALL = 4096

    def __init__(self, variables: list[Any], whole: bool) -> None:
        self.shapes = [tuple(variable.shape) for variable in variables]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]
        small = [k for k, size in enumerate(self.sizes) if whole or size <= self.SMALL]
        alone = [[k] for k in range(len(variables)) if k not in set(small)]
        self.groups = [*alone, small] if small else alone
        self.flat = [
            keras.Variable(np.zeros(sum(self.sizes[k] for k in group), np.float32))
            for group in self.groups
        ]

    def split(self, flat: list[Any]) -> list[Any]:
        """Return the weights in the model's order and shapes, from the flat tensors."""
        weights: list[Any] = [None] * len(self.shapes)
        for group, tensor in zip(self.groups, flat, strict=True):
            sizes = [self.sizes[k] for k in group]
            parts = tf.split(tensor, sizes) if len(group) > 1 else [tensor]
            for k, part in zip(group, parts, strict=True):
                weights[k] = _shaped(part, self.shapes[k])
        return weights

    def join(self, weights: list[Any]) -> list[Any]:
        """Return the flat tensors of weights in the model's order."""
        return [tf.concat([_shaped(weights[k], (-1,)) for k in group], 0) for group in self.groups]

    def pack(self, variables: list[Any]) -> None:
        """Copy a model's variables into the flat ones."""
        joined = self.joined([variable.numpy() for variable in variables])
        for variable, value in zip(self.flat, joined, strict=True):
            variable.assign(value)

    def joined(self, weights: list[np.ndarray]) -> list[np.ndarray]:
        """Return the flat arrays of weights in the model's order."""
        return [np.concatenate([weights[k].ravel() for k in group]) for group in self.groups]

    def arrays(self, flat: list[np.ndarray]) -> list[np.ndarray]:
        """Return the weights in the model's order and shapes, from the flat arrays."""
        weights: list[Any] = [None] * len(self.shapes)
        for group, array in zip(self.groups, flat, strict=True):
            ends = np.cumsum([self.sizes[k] for k in group])[:-1]
            for k, part in zip(group, np.split(array, ends), strict=True):
                weights[k] = part.reshape(self.shapes[k])
        return weights


class Unpacked(Packing):
    """A model's trainable variables as they are, for Keras's own training."""

    def __init__(self, variables: list[Any]) -> None:
        super().__init__(variables, whole=False)
        self.groups = [[k] for k in range(len(variables))]
        self.flat = list(variables)

    def split(self, flat: list[Any]) -> list[Any]:
        """Return the weights in the model's order and shapes, which they have already."""
        return list(flat)

    def join(self, weights: list[Any]) -> list[Any]:
        """Return the weights in the order of `flat`, which they have already."""
        return list(weights)

    def joined(self, weights: list[np.ndarray]) -> list[np.ndarray]:
        """Return the arrays in the order of `flat`, which they have already."""
        return list(weights)

    def arrays(self, flat: list[np.ndarray]) -> list[np.ndarray]:
        """Return the arrays in the model's order and shapes, which they have already."""
        return list(flat)

    def pack(self, variables: list[Any]) -> None:
        """Do nothing: the variables are the model's own."""


def _shaped(tensor: Any, shape: tuple[int, ...]) -> Any:
    """Return a tensor in another shape; one that keeps its single axis traces nothing."""
    return tensor if len(shape) == len(tensor.shape) == 1 else tf.reshape(tensor, shape)
