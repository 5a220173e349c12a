"""Networks as users write them."""

from __future__ import annotations

from trainstack.search.own_network import OwnNetwork

# A model with a training step of its own, which sees its images upside down.
FLIPPING = """
import keras
import tensorflow as tf


class Flipping(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x[:, ::-1], training=True))
        found = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(found, self.trainable_variables))
        return {"loss": loss}
"""

CODE = """
import keras


def lenet(stack, inputs, outputs):
    x = stack.conv2d(stack.choice("filters", [4, 8]), 3, padding="same")(inputs)
    x = keras.layers.MaxPooling2D()(x)
    x = stack.separable_conv2d(6, 3)(x)
    x = keras.layers.Flatten()(x)
    return stack.head(outputs)(stack.dense(8)(x))


def recurrent(stack, inputs, outputs):
    x = stack.lstm(6, return_sequences=True)(inputs)
    x = stack.gru(5)(x)
    return keras.layers.Dense(outputs)(x)


def residual(stack, inputs, outputs):
    x = stack.conv2d(4, 3, padding="same")(inputs)
    y = stack.conv2d(4, 3, padding="same")(x)
    y = stack.conv2d(4, 3, padding="same", activation=None)(y)
    x = stack.activation()(keras.layers.Add()([x, y]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return stack.head(outputs)(x)


def two(stack, inputs, outputs):
    x = stack.dense(6)(inputs["table"])
    y = keras.layers.Flatten()(stack.block(keras.layers.Conv1D(3, 2))(inputs["series"]))
    return stack.head(outputs)(keras.layers.Concatenate()([x, y]))


def penalized(stack, inputs, outputs):
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(6, kernel_regularizer=keras.regularizers.L2(0.1))(x)
    return stack.head(outputs)(stack.dense(8)(x))


def shifted(stack, inputs, outputs):
    x = keras.layers.RandomTranslation(0.3, 0.3)(inputs)
    return stack.head(outputs)(keras.layers.Flatten()(stack.conv2d(2, 3)(x)))


def plain(stack, inputs, outputs):
    return stack.head(outputs)(stack.dense(8)(stack.dense(8)(keras.layers.Flatten()(inputs))))


def nested(stack, inputs, outputs):
    x = inputs
    for place in range(stack.integer("blocks", 1, 3)):
        x = stack.conv2d(stack.choice(f"filters_{place}", [2, 4]), 3, padding="same")(x)
    if stack.choice("pool", ["flat", "mean"]) == "flat":
        x = stack.dense(stack.integer("units", 4, 32, log=True))(keras.layers.Flatten()(x))
    else:
        x = keras.layers.GlobalAveragePooling2D()(x)
    return stack.head(outputs)(x)
"""

IMAGES = (("inputs", (8, 8, 1)),)
SERIES = (("inputs", (8, 8)),)
SEVERAL = (("table", (24,)), ("series", (20, 2)))
INPUTS = {"recurrent": SERIES, "two": SEVERAL}


def own_network(function: str) -> OwnNetwork:
    """Return one of the networks; a row has 64 numbers."""
    return OwnNetwork("network.py", function, CODE, INPUTS.get(function, IMAGES))
