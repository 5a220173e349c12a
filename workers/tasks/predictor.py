"""An exported model, ready to answer for new rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainstack.search.data.model_description import ModelDescription
from trainstack.spaces.errors import RequestError

# Rows of arrays at a time.
BATCH_ROWS = 4096


class Predictor:
    """A model's file that was loaded.

    Args:
        path: The `.keras` file.

    Raises:
        RequestError: It cannot be read, or was not written by `export`.

    Attributes:
        description: What the file says about its rows and answers.
        model: The Keras model.
    """

    def __init__(self, path: Path) -> None:
        self.description = ModelDescription.read(path)
        try:
            # Keras's safe mode, its default, runs no code that a file holds.
            model: Any = keras.models.load_model(path, compile=False)
        except (OSError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise RequestError(f"{path} cannot be loaded ({reason})", "a model of export") from None
        given = [tf.TensorSpec((None, *each.shape[1:]), each.dtype) for each in model.inputs]
        if self.description.is_table:
            signature: Any = {
                each.name: each_given for each, each_given in zip(model.inputs, given, strict=True)
            }
        else:
            (signature,) = given
        self._kinds = {each.name: each.dtype for each in model.inputs}
        self.model = model  # a concrete function does not keep it alive
        # TensorFlow would take the functions of several models in one program for one that is
        # traced again and again, and warn.
        self._answer = tf.function(
            lambda inputs: model(inputs, training=False),
            input_signature=[signature],
            autograph=False,
        ).get_concrete_function()

    def of_columns(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the model's answers [N, K] for a table's columns [N] by the inputs' names."""
        given = {name: tf.constant(inputs[name], kind) for name, kind in self._kinds.items()}
        return self._answer(given).numpy()

    def of_rows(self, x: np.ndarray) -> np.ndarray:
        """Return the model's answers [N, K] for arrays [N, ...], float64."""
        (kind,) = self._kinds.values()
        parts = [
            self._answer(tf.constant(x[k : k + BATCH_ROWS].astype(kind))).numpy()
            for k in range(0, len(x), BATCH_ROWS)
        ]
        return np.concatenate(parts).astype(np.float64)
