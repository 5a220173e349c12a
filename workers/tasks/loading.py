"""Load an exported model into a program of a user's, whose settings of Keras stay as they are."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from trainstack.workers.engine.keras_settings import hushed

if TYPE_CHECKING:
    from trainstack.workers.tasks.predictor import Predictor


def load(path: Path) -> Predictor:
    """Return a model's file, loaded; TensorFlow's messages on its import are discarded.

    Raises:
        RequestError: It cannot be read, or was not written by `export`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.nullcontext() if "tensorflow" in sys.modules else hushed():
        from trainstack.workers.tasks.predictor import Predictor

        return Predictor(path)
