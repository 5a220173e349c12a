"""A saved model, and a user's network that takes layers of it."""

from __future__ import annotations

from typing import Any

import keras


def saved_model() -> keras.Model:
    """Return a small convolutional model with batch normalization and a head of four units."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(3, 3, activation="relu", name="lower")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(inputs, keras.layers.Dense(4, name="top")(x))
    for variable in model.variables:
        variable.assign(variable + 0.05)
    return model


def code(file: Any, arguments: str = 'layer="mean", unfreeze_after=(2, 3)') -> str:
    """Return the text of a network that takes layers of a saved model."""
    return f"""
def build(stack, inputs, outputs):
    x = stack.pretrained({str(file)!r}, {arguments})(inputs)
    return stack.head(outputs)(stack.dense(6)(x))
"""
