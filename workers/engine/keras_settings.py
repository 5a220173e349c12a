"""Keras's settings, independent of the environment and of configuration files.

A user's `KERAS_BACKEND` and `keras.json` are meant for other programs: another backend would
crash a trainer, and float64 weights would match neither the measurements nor the exports.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

# Keras's defaults, on which the engine and its equivalence with `fit` rely.
FLOATX, EPSILON, IMAGES = "float32", 1e-7, "channels_last"
# What Keras imports only to offer more where it is installed: pictures, and wrappers as estimators
# of scikit-learn. Without them its import takes two thirds of the processor time.
OPTIONAL = ("matplotlib", "IPython", "sklearn")


def set_keras() -> None:
    """Import Keras with the TensorFlow backend and apply the settings that this package needs.

    Call it before anything else imports Keras, which reads its variables and its file on import
    and rejects a file with unknown values. The variables are restored afterwards, because
    KERAS_HOME is also the location of data sets.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    asked = {name: value for name, value in os.environ.items() if name.startswith("KERAS_")}
    for name in asked:
        del os.environ[name]
    # No configuration file can be read or written below the null device.
    os.environ.update(KERAS_BACKEND="tensorflow", KERAS_HOME=os.devnull)
    try:
        import keras
    finally:
        del os.environ["KERAS_BACKEND"], os.environ["KERAS_HOME"]
        os.environ.update(asked)
    # In case Keras had already been imported
    keras.config.set_floatx(FLOATX)
    keras.config.set_epsilon(EPSILON)
    keras.config.set_image_data_format(IMAGES)
    keras.config.set_dtype_policy(FLOATX)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Discard what native libraries write to standard error.

    TensorFlow reports the processor's instructions and missing GPUs while it is imported,
    regardless of TF_CPP_MIN_LOG_LEVEL. A failing import still raises.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def absent(*modules: str) -> Iterator[None]:
    """Let imports of modules fail, except of those that have been imported already.

    A library may import others only to offer more where they are installed, such as pictures. A
    process that needs none of that saves their imports; afterwards they can be imported as usual.
    """
    hidden: dict[str, Any] = {name: None for name in modules if name not in sys.modules}
    sys.modules.update(hidden)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
