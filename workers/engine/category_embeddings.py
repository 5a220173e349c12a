"""Embeddings of categories, from Keras's own layers; exported scripts contain the function."""

# Keras's stub wants names of initializers; annotations would be wrong in scripts.
# pyright: reportArgumentType=false
from __future__ import annotations

from typing import Any

import keras
import numpy as np


def embedded_categories(inputs: Any, columns: list, size: int) -> Any:
    """Return the inputs with learned numbers, `size` each, in place of the columns' categories.

    Each of `columns` is the first of a column's features and the one after its last. A layer's
    kernel has a row for each category; its product with the features, of which one is 1 and the
    others are 0, is the category's row. An unknown category, whose features are 0, has zeros.

    Reference: Guo and Berkhahn, "Entity Embeddings of Categorical Variables", 2016.
    """
    parts, done = [], 0
    for number, (first, end) in enumerate(columns):
        embedded = keras.layers.EinsumDense(
            "bc,cs->bs",
            size,
            kernel_initializer=keras.initializers.RandomNormal(stddev=1.0),
            name=f"category_{number}",
        )
        before = [inputs[:, done:first]] if done < first else []
        parts += [*before, embedded(inputs[:, first:end])]
        done = end
    rest = [inputs[:, done:]] if done < inputs.shape[1] else []
    return keras.layers.Concatenate()([*parts, *rest])


def layers_of(model: keras.Model) -> list[Any]:
    """Return a model's layers that embed categories."""
    return [layer for layer in model.layers if layer.name.startswith("category_")]


def set_fresh(model: keras.Model, seed: int) -> None:
    """Draw the embeddings of a model's categories, standard normal numbers, by a seed."""
    rng = np.random.default_rng([seed, 8])
    for layer in layers_of(model):
        layer.kernel.assign(rng.standard_normal(layer.kernel.shape))
