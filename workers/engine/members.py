"""Members of one network that share its hidden layers: their losses, and their joint prediction.

Reference: Gorishniy et al., "TabM: Advancing Tabular Deep Learning with Parameter-Efficient
Ensembling", 2024 (arXiv 2410.24210), after Wen et al., "BatchEnsemble", 2020.
"""

from __future__ import annotations

from typing import Any, cast

import tensorflow as tf

from trainstack.search.metrics.losses import LOSSES
from trainstack.search.metrics.table import MULTILABEL


def apart(outputs: tf.Tensor, *of_rows: tf.Tensor | None) -> list[Any]:
    """Return every member's answer to every row as a row of its own.

    Args:
        outputs: Outputs [B, K], or of k members, [B, k, K].
        of_rows: Tensors [B, …], or None.

    Returns:
        The outputs, [B · k, K], and each other tensor repeated to match them. The mean loss of
        these rows is the mean of the members' losses.
    """
    if outputs.shape.rank == 2:
        return [outputs, *of_rows]
    count = cast(int, outputs.shape[1])
    rows = [None if part is None else _repeated(part, count) for part in of_rows]
    return [tf.reshape(outputs, [-1, outputs.shape[2]]), *rows]


def _repeated(part: tf.Tensor, count: int) -> tf.Tensor:
    """Return each row `count` times in a row."""
    each = tf.stack([part] * count, axis=1)
    return tf.reshape(each, [-1, *part.shape[1:]])


def combined(outputs: tf.Tensor, loss: str, task: str) -> tf.Tensor:
    """Return the outputs whose prediction is the mean of the members' predictions.

    Classes: the logarithms of the mean probabilities. Labels of two classes: the logits of the mean
    probabilities. Counts: the logarithm of the mean count. Other quantities, and standardised
    logarithms: the mean.

    Args:
        outputs: Outputs of one network [B, K], which are returned as they are, or of k members,
            [B, k, K].
        loss: Name of the loss.
        task: The task.

    Returns:
        Outputs [B, K].
    """
    if outputs.shape.rank == 2:
        return outputs
    count = tf.math.log(float(cast(int, outputs.shape[1])))
    row = LOSSES.get(loss)
    if task == MULTILABEL:
        on, off = (tf.reduce_logsumexp(tf.math.log_sigmoid(s * outputs), 1) for s in (1.0, -1.0))
        return on - off
    if row is not None and row.task == "classification":
        return tf.reduce_logsumexp(tf.nn.log_softmax(outputs), 1) - count
    if row is not None and row.logarithmic:
        return tf.reduce_logsumexp(outputs, 1) - count
    return tf.reduce_mean(outputs, 1)
