"""Losses and scores of a batch, without any penalty."""

from __future__ import annotations

import tensorflow as tf

from trainstack.search.data.target_log import FARTHEST

# Several targets of two classes each.
MULTILABEL = "multilabel"
# A task besides the data's own, whose targets are the inputs themselves.
RECONSTRUCTION = "reconstruction"


def inverted(outputs: tf.Tensor, inverse: tf.Tensor) -> tf.Tensor:
    """Return standardised predictions for outputs [B, T] that are standardised logarithms.

    Args:
        outputs: The head's outputs.
        inverse: Scale, shift and factor; see `Split.inverse` in `trainstack.search.data.splitting`.
    """
    scale, shift, factor = tf.unstack(inverse)
    near = tf.clip_by_value(outputs, -FARTHEST, FARTHEST)
    return factor * tf.math.expm1(scale * near + shift)


def losses(task: str, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Return each row's loss, shape [B].

    It is the cross-entropy in nats of the softmax of `outputs` [B, K], the squared error of
    `outputs` [B, 1], or the mean squared error of a reconstruction [B, D]. Of several targets
    [B, T] it is their mean squared error, or the mean cross-entropy of the sigmoids of `outputs`.
    """
    if task == MULTILABEL:
        truth = tf.cast(targets, outputs.dtype)
        each = tf.nn.sigmoid_cross_entropy_with_logits(labels=truth, logits=outputs)
        return tf.reduce_mean(each, axis=1)
    if task == "classification":
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=outputs)
    if targets.shape.rank == 2:
        return tf.reduce_mean(tf.square(outputs - targets), axis=1)
    return tf.square(outputs[:, 0] - targets)


def scores(task: str, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Return each row's score, shape [B].

    It is 1 where the class is right, the share of labels that are right, or the squared error; of
    several quantities those of each, [B, T].
    """
    if task == MULTILABEL:
        right = tf.equal(outputs > 0, targets > 0)
        return tf.reduce_mean(tf.cast(right, tf.float32), axis=1)
    if task == "classification":
        right = tf.equal(tf.argmax(outputs, axis=1, output_type=tf.int32), targets)
        return tf.cast(right, tf.float32)
    if task == "regression" and targets.shape.rank == 2:
        return tf.square(outputs - targets)
    return losses(task, targets, outputs)
