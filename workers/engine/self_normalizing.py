"""Whether a user's own network can be self-normalizing: plain dense layers, one after the other."""

from __future__ import annotations

from collections import Counter

import keras

from trainstack.workers.engine.kernels import is_recurrent
from trainstack.workers.engine.own_network import BuiltNetwork

# Layers that only arrange numbers or are off in prediction.
_NEUTRAL = (
    keras.layers.InputLayer,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.Activation,
)


def voids(network: BuiltNetwork) -> str:
    """Return what voids self-normalization in a network, in words; empty: nothing does.

    The theorem is about dense layers of SELU units one after the other (Klambauer et al. 2017).

    Args:
        network: The network, built for a stack without normalization and dropout.
    """
    for block in network.blocks:
        layer = block.layer
        if is_recurrent(layer):
            return "recurrence"
        if not isinstance(layer, keras.layers.Dense):
            return "a convolution"
    if network.saved is not None:
        return "a saved model"
    if len(network.inside.inputs) > 1:
        return "several inputs"
    used = Counter()
    for layer in network.inside.layers:
        for node in layer._inbound_nodes:
            used.update(id(tensor) for tensor in node.input_tensors)
    if any(count > 1 for count in used.values()):
        return "a skip"
    own = {id(block.layer) for block in network.blocks}
    for layer in network.inside.layers:
        if not isinstance(layer, (*_NEUTRAL, keras.layers.Dense)) and id(layer) not in own:
            return f"a layer {type(layer).__name__}"
    return ""
