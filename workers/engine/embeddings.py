"""Embeddings of numbers, from Keras's own layers; exported scripts contain these functions.

Each consists of two layers: one gives several components of each number, the other mixes those of
one number. Components of bins depend on the split, so their layer is not trained but set.
"""

# Keras's stub wants names of initializers; annotations would be wrong in scripts.
# pyright: reportArgumentType=false
from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.category_embeddings import embedded_categories

# Training rows from which bins are computed, at most.
BIN_ROWS = 65_536


def periodic(inputs: Any, numbers: int, frequencies: int, sigma: float, width: int) -> Any:
    """Return the inputs, preceded by width - 1 learned sums of cosines for each number.

    The cosines are cos(2π · frequency · x + phase); frequencies and phases are learned.

    Reference: Holzmüller et al., "Better by Default", 2024 (PBLD).
    """
    uniform, limit = keras.initializers.RandomUniform, frequencies**-0.5
    waves = keras.layers.EinsumDense(
        "bf,fk->bfk",
        (numbers, frequencies),
        bias_axes="fk",
        kernel_initializer=keras.initializers.RandomNormal(stddev=sigma),
        bias_initializer=uniform(-math.pi, math.pi),
        name="components",
    )(2 * math.pi * inputs[:, :numbers])
    mixed = keras.layers.EinsumDense(
        "bfk,fkw->bfw",
        (numbers, width - 1),
        bias_axes="fw",
        kernel_initializer=uniform(-limit, limit),
        bias_initializer=uniform(-limit, limit),
        name="mixture",
    )(keras.ops.cos(waves))
    return keras.layers.Concatenate()([keras.layers.Flatten()(mixed), inputs])


def piecewise(inputs: Any, numbers: int, bins: int, width: int) -> Any:
    """Return `width` learned piecewise linear functions of each number, and the other inputs.

    Set the weights of the layer of components to those of `bins_of`. A component is 0 left of its
    bin, 1 right of it, and linear inside; the first and the last are linear also outside.

    Reference: Gorishniy et al., "On Embeddings for Numerical Features", 2022, section 3.2.
    """
    uniform, limit = keras.initializers.RandomUniform, bins**-0.5
    components = keras.layers.EinsumDense(
        "bf,fk->bfk",
        (numbers, bins),
        bias_axes="fk",
        kernel_initializer="zeros",
        trainable=False,
        name="components",
    )(inputs[:, :numbers])
    low, high = [-math.inf] + [0.0] * (bins - 1), [1.0] * (bins - 1) + [math.inf]
    mixed = keras.layers.EinsumDense(
        "bfk,fkw->bfw",
        (numbers, width),
        bias_axes="fw",
        kernel_initializer=uniform(-limit, limit),
        bias_initializer=uniform(-limit, limit),
        name="mixture",
    )(keras.ops.clip(components, low, high))
    rest = [inputs[:, numbers:]] if numbers < inputs.shape[1] else []
    return keras.layers.Concatenate()([keras.layers.Flatten()(mixed), *rest])


def bins_of(x: Any, bins: int) -> Any:
    """Return 1 / width and -left edge / width of each number's bins, two arrays [numbers, bins].

    The edges are quantiles of the training rows x, [N, numbers], without repetitions. The last
    bin is always in the last place; a number with fewer bins has zeros in the places before it.
    A single bin is divided in the middle, and a constant has none.
    """
    slopes, offsets = np.zeros((2, x.shape[1], bins), "float32")
    for number, found in enumerate(np.quantile(x, np.linspace(0, 1, bins + 1), axis=0).T):
        # Edges that are closer than this are equal but for rounding.
        edges = found[np.diff(found, prepend=-np.inf) > 1e-6]
        if len(edges) == 2:
            edges = np.linspace(edges[0], edges[1], 3)
        if len(edges) > 1:
            widths = np.diff(edges)
            places = [*range(len(widths) - 1), -1]
            slopes[number, places] = 1 / widths
            offsets[number, places] = -edges[:-1] / widths
    return slopes, offsets


EMBEDDED = {
    "periodic": periodic,
    "piecewise": piecewise,
    "embedded_categories": embedded_categories,
}


def components(stack: Stack) -> int:
    """Return how many components of each number the stack's embedding has; 0: it has none."""
    return stack.get("embedding.frequencies", 0) or stack.get("embedding.bins", 0)


def set_fresh(layers: list[Any], stack: Stack, rng: np.random.Generator, x: Any) -> None:
    """Set the weights of an embedding's two layers, drawn as its function says.

    Args:
        layers: The layer of components and the layer that mixes them.
        stack: The stack.
        rng: Source of randomness.
        x: The numbers of training rows, prepared, [N, numbers], if the embedding has bins.
    """
    first, second = layers
    shape = tuple(first.kernel.shape)
    if stack["embedding"] == "periodic":
        first.kernel.assign(rng.normal(0.0, stack["embedding.sigma"], shape))
        first.bias.assign(rng.uniform(-math.pi, math.pi, shape))
    else:
        first.set_weights(bins_of(x, shape[1]))
    limit = shape[1] ** -0.5
    for variable in (second.kernel, second.bias):
        variable.assign(rng.uniform(-limit, limit, tuple(variable.shape)))
