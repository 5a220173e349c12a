"""Keras as this package needs it, whatever the environment or a configuration file says.

A user's `KERAS_BACKEND` and `keras.json` are about programs of their own: another backend would
end a trainer, and float64 weights would be neither what was measured nor what is exported.
"""

from __future__ import annotations

import os

# Values of Keras's own defaults, on which the engine and its equality with `fit` stand.
FLOATX, EPSILON, IMAGES = "float32", 1e-7, "channels_last"


def set_environment() -> None:
    """Name the backend; to be called before Keras is imported."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def set_keras() -> None:
    """Put Keras's settings where this package needs them; imports Keras."""
    set_environment()
    import keras

    keras.config.set_floatx(FLOATX)
    keras.config.set_epsilon(EPSILON)
    keras.config.set_image_data_format(IMAGES)
    keras.config.set_dtype_policy(FLOATX)
