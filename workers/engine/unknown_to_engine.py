"""Why the engine cannot train a user's network: its own training, Python, state unknown to Keras.

Such networks are trained by Keras's `fit` (`trainstack.workers.engine.fit_program`).
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainstack.workers.engine.own_network import BuiltNetwork, own_training

_PLAIN = (bool, int, float, str, bytes, list, tuple, dict, set, np.ndarray)


def why_unknown(found: BuiltNetwork) -> tuple[str, bool]:
    """Return why the engine cannot take a network, in words, and whether it must run eagerly.

    The network has Keras's own layers. The words are empty if the engine can take it. Only calls
    of Python that leave a trace in the layers themselves, or cannot be traced, are found; a model
    compiled with `run_eagerly` says so itself.
    """
    if found.fitted.run_eagerly:
        return "a model compiled with run_eagerly", True
    trained = own_training(found.fitted)
    layers = _layers(found.fitted)
    before = [_python_state(layer) for layer in layers]
    rows = tf.TensorSpec((2, sum(found.network.sizes)), tf.float32)
    try:
        call = tf.function(partial(_call, found.model), autograph=False)
        call.get_concrete_function(rows)
    except Exception as error:
        message = (str(error).strip().splitlines() or [""])[0][:100]
        return f"a layer that cannot be traced ({type(error).__name__}: {message})", True
    for layer, state in zip(layers, before, strict=True):
        if _python_state(layer) != state:
            return f"a layer {type(layer).__name__} that changes in Python when it is called", True
    if trained:
        return f"a {trained} of its own", False
    for layer in layers:
        if _states(layer):
            return f"a layer {type(layer).__name__} with a tf.Variable", False
    return "", False


def unknown_states(model: Any) -> list[tf.Variable]:
    """Return the variables of a model's layers that Keras does not know."""
    return [state for layer in _layers(model) for state in _states(layer)]


def _call(model: Any, x: tf.Tensor) -> Any:
    """Call a model as the engine does in training."""
    weights = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]
    return model.stateless_call(weights, others, x, training=True, return_losses=True)


def _layers(model: Any) -> list[Any]:
    """Return a model's layers that are no layers of Keras, with those within others."""
    every = model._flatten_layers(recursive=True, include_self=True)
    return [each for each in every if not type(each).__module__.startswith("keras.")]


def _states(layer: Any) -> list[tf.Variable]:
    """Return the `tf.Variable`s among a layer's own attributes, and in lists of them."""
    found = []
    for value in _own(layer).values():
        each = value.values() if isinstance(value, dict) else value
        several = isinstance(value, (dict, list, tuple))
        found += [v for v in (each if several else [value]) if isinstance(v, tf.Variable)]
    return found


def _python_state(layer: Any) -> str:
    """Return the values of a layer's own attributes as a text."""
    own = {name: value for name, value in _own(layer).items() if isinstance(value, _PLAIN)}
    return repr(sorted(own.items()))


def _own(layer: Any) -> dict[str, Any]:
    """Return the attributes that a layer has besides those of Keras's own."""
    return {name: value for name, value in vars(layer).items() if name not in _usual()}


@cache
def _usual() -> frozenset[str]:
    """Return the names of the attributes of Keras's layers and models."""
    inputs = keras.Input((1,))
    return frozenset(vars(keras.layers.Layer())) | frozenset(vars(keras.Model(inputs, inputs)))
