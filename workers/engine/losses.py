"""Losses and scores of a batch, without any penalty."""

from __future__ import annotations

import tensorflow as tf

from trainstack.search.metrics.losses import FOCUS, LOSSES

# A task besides the data's own, whose targets are the inputs themselves.
RECONSTRUCTION = "reconstruction"


def losses(loss: str, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Return each row's loss, shape [B].

    Args:
        loss: A name of `LOSSES`, or RECONSTRUCTION (the mean squared error of [B, D]).
        targets: Labels [B], standardised targets [B], or inputs [B, D].
        outputs: Logits [B, K], or [B, 1].
    """
    if loss == "cross_entropy":
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=outputs)
    if loss == "focal":
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=outputs)
        return tf.pow(1.0 - tf.exp(-entropy), FOCUS) * entropy
    if loss == RECONSTRUCTION:
        return tf.reduce_mean(tf.square(outputs - targets), axis=1)
    answers = outputs[:, 0]
    if loss == "poisson":  # half the deviance: y log y - y does not depend on the network
        return tf.exp(answers) - targets * answers + tf.math.xlogy(targets, targets) - targets
    error = answers - targets
    if loss == "absolute":
        return tf.abs(error)
    if loss == "huber":
        size = tf.abs(error)
        return tf.where(size <= 1.0, 0.5 * tf.square(error), size - 0.5)
    return tf.square(error)


def scores(loss: str, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Return each row's score, shape [B]: 1 where the class is right, or the squared error."""
    if loss == RECONSTRUCTION:
        return losses(loss, targets, outputs)
    if LOSSES[loss].task == "classification":
        right = tf.equal(tf.argmax(outputs, axis=1, output_type=tf.int32), targets)
        return tf.cast(right, tf.float32)
    answers = tf.exp(outputs) if LOSSES[loss].logarithmic else outputs
    return losses("squared", targets, answers)
