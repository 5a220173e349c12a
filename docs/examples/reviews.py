"""A table as two inputs: with `--input text=length` a text's length, and the other columns."""

import keras


def build(stack, inputs, outputs):
    """Return the network's output for the inputs `text` and `rest`."""
    text = stack.dense(4)(inputs["text"])
    rest = stack.dense(stack.integer("units", 8, 64, log=True))(inputs["rest"])
    x = keras.layers.Concatenate()([text, rest])
    return stack.head(outputs)(stack.dense(16)(x))
