"""Dense layers of a saved model, with which a network starts.

References: Yosinski et al., "How transferable are features in deep neural networks?", 2014; Howard
and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018 (thawing at a lower
rate).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from trainstack.spaces.stack import Stack
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.saved_block import loaded


def dense_layers(model: Any) -> Any:
    """Return a model's dense layers, first to last, with those of models within it."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += dense_layers(layer)
        elif isinstance(layer, keras.layers.Dense):
            found.append(layer)
    return found


def saved_layers(content: bytes, count: int) -> list[np.ndarray]:
    """Return kernel and bias of a saved model's first dense layers.

    Args:
        content: Content of the `.keras` file.
        count: Number of layers.

    Raises:
        RequestError: Keras cannot load the model.
    """
    model = loaded("--reuse", content)
    return [array for layer in dense_layers(model)[:count] for array in layer.get_weights()]


def take_over(program: Program, stack: Stack, saved: list[np.ndarray]) -> None:
    """Give a program, reset for a run, its first layers from a saved model.

    Args:
        program: The program.
        stack: Its stack, whose layers are plain: `PLAIN_LAYERS`.
        saved: Kernel and bias of each layer that could be taken.

    Raises:
        ValueError: The stack has other layers.
    """
    taken = saved[: 2 * stack["pretraining.layers"]]
    own = program.weights()
    if [w.shape for w in taken] != [w.shape for w in own[: 2 * stack["pretraining.layers"]]]:
        raise ValueError(f"the reused layers do not fit {list(stack.units)}")
    program.set_weights([*taken, *own[len(taken) :]])
