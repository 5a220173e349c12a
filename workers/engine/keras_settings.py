"""Keras as this package needs it, whatever the environment or a configuration file says.

A user's `KERAS_BACKEND` and `keras.json` are about programs of their own: another backend would
end a trainer, and float64 weights would be neither what was measured nor what is exported.
"""

from __future__ import annotations

import os

# Values of Keras's own defaults, on which the engine and its equality with `fit` stand.
FLOATX, EPSILON, IMAGES = "float32", 1e-7, "channels_last"


def set_keras() -> None:
    """Import Keras with TensorFlow below it, and put its settings where this package needs them.

    To be called before anything else imports Keras, which reads its variables and its file at that
    moment, and refuses a file with what it does not know. Afterwards the variables are as before:
    KERAS_HOME also says where data sets lie.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    asked = {name: value for name, value in os.environ.items() if name.startswith("KERAS_")}
    for name in asked:
        del os.environ[name]
    # Below the null device there is no file to be read, and none can be written.
    os.environ.update(KERAS_BACKEND="tensorflow", KERAS_HOME=os.devnull)
    try:
        import keras
    finally:
        del os.environ["KERAS_BACKEND"], os.environ["KERAS_HOME"]
        os.environ.update(asked)
    # Where it had been imported before
    keras.config.set_floatx(FLOATX)
    keras.config.set_epsilon(EPSILON)
    keras.config.set_image_data_format(IMAGES)
    keras.config.set_dtype_policy(FLOATX)
