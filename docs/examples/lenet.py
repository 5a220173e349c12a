"""Images: two convolutions with pooling, then dense layers, as LeNet-5 (LeCun et al. 1998)."""

import keras


def build(stack, inputs, outputs):
    """Return the network's output for images [H, W, C] of at least 16 × 16."""
    x = stack.conv2d(stack.choice("filters", [6, 12]), 5, padding="same")(inputs)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.MaxPooling2D()(stack.conv2d(16, 5)(x))
    x = keras.layers.Flatten()(x)
    for units in (120, 84):
        x = stack.dense(units)(x)
    return stack.head(outputs)(x)
