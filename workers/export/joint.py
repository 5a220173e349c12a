"""Several exported models as one, and probabilities at a temperature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

# Its annotations allow None for the result of every operation.
ops: Any = keras.ops
_TINY, _NEAR_ONE = 1e-37, 1.0 - 2.0**-23


def joined(models: Sequence[keras.Model], counts: Sequence[int]) -> keras.Model:
    """Return a model of the weighted mean of models' outputs.

    The outputs are probabilities or predictions in the target's unit, so the mean is one of these.

    Args:
        models: Models of the same raw inputs, at least one.
        counts: The weight of each.
    """
    if len(models) == 1:
        return models[0]
    # Inputs of the greatest precision that a member needs; the others round them.
    inputs = max(models, key=lambda model: model.inputs[0].dtype == "float64").input
    outputs = [count * model(inputs) for model, count in zip(models, counts, strict=True)]
    total = outputs[0]
    for other in outputs[1:]:
        total = total + other
    return keras.Model(inputs, total / sum(counts))


def tempered(model: keras.Model, temperature: float, labels: bool) -> keras.Model:
    """Return a model whose probabilities are those of another, at a temperature.

    Args:
        model: Its outputs are class probabilities [B, K], or those of labels' second values [B, T].
        temperature: See `trainstack.search.evidence.temperature`; 1 changes nothing.
        labels: Whether the outputs are those of labels.
    """
    if temperature == 1.0:
        return model
    p = ops.maximum(model.output, _TINY)
    if labels:
        p = ops.minimum(p, _NEAR_ONE)
        outputs = ops.sigmoid((ops.log(p) - ops.log1p(-p)) / temperature)
    else:
        outputs = ops.softmax(ops.log(p) / temperature)
    return keras.Model(model.input, outputs)
