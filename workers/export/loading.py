"""Load an exported model into a program of a user's, whose settings of Keras stay as they are."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainstack.workers.engine.keras_settings import hushed


def load(path: Path) -> Callable[[Any], Any]:
    """Return the function of a saved model: encoded features [N, …] → answers [N, K].

    It is the model itself, not its `predict`, which would round the inputs to float32.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.nullcontext() if "tensorflow" in sys.modules else hushed():
        import keras

        model: Any = keras.models.load_model(path)
    return lambda features: model(features, training=False)
