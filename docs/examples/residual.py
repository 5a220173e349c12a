"""Images: blocks of two convolutions with a skip around them (He et al. 2016)."""

import keras


def build(stack, inputs, outputs):
    """Return the network's output for images [H, W, C]."""
    filters = stack.choice("filters", [8, 16])
    x = stack.conv2d(filters, 3, padding="same")(inputs)
    for _ in range(stack.integer("blocks", 1, 3)):
        before = x
        x = stack.conv2d(filters, 3, padding="same")(x)
        x = stack.conv2d(filters, 3, padding="same", activation=None)(x)
        x = stack.activation()(keras.layers.Add()([before, x]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return stack.head(outputs)(x)
