"""Losses and scores of a batch, without any penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from trainstack.search.data.target_log import FARTHEST
from trainstack.search.metrics.losses import FOCUS, LOSSES

# A task besides the data's own, whose targets are the inputs themselves.
RECONSTRUCTION = "reconstruction"
# Another, whose targets are 1 where a value was replaced, else 0.
CORRUPTION = "corruption"


def inverted(outputs: tf.Tensor, inverse: tf.Tensor) -> tf.Tensor:
    """Return standardised predictions for outputs [B, T] that are standardised logarithms.

    Args:
        outputs: The head's outputs.
        inverse: Scale, shift and factor; see `Split.inverse` in `trainstack.search.data.splitting`.
    """
    scale, shift, factor = tf.unstack(inverse)
    near = tf.clip_by_value(outputs, -FARTHEST, FARTHEST)
    return factor * tf.math.expm1(scale * near + shift)


def losses(loss: str, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Return each row's loss, shape [B]; of several targets its mean over them.

    Args:
        loss: A name of `LOSSES`; or RECONSTRUCTION, the mean squared error of [B, D]; or
            CORRUPTION, their mean cross-entropy.
        targets: Labels [B], standardised targets [B], inputs [B, D], or several targets [B, T]:
            labels of two classes, or standardised numbers.
        outputs: Logits [B, K], or [B, 1]; of several targets [B, T].
    """
    several = targets.shape.rank == 2
    if loss in ("cross_entropy", "focal", CORRUPTION):
        each = _entropies(targets, outputs, several)
        if loss == "focal":
            each = _focal(each)
    else:
        each = _errors(loss, targets, outputs if several else outputs[:, 0])
    return tf.reduce_mean(each, axis=1) if several else each


def smoothed_losses(loss: str, targets: tf.Tensor, outputs: tf.Tensor, share: Any) -> tf.Tensor:
    """Return each row's loss with smoothed labels, shape [B]; of several labels its mean over them.

    It is (1 - share) · the loss of the label + share · the mean of the losses of all classes. For
    cross-entropy this is the loss of a label of which every class has an equal share.

    Reference: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016.

    Args:
        loss: A loss of classes, as `losses` takes it.
        targets: Labels [B], or several labels of two classes [B, T].
        outputs: Logits [B, K]; of several labels [B, T].
        share: Share of a label that all classes have, from 0 to 1.
    """
    if targets.shape.rank == 2:
        classes = tf.zeros_like(targets), tf.ones_like(targets)
        off, on = (losses(loss, label, outputs) for label in classes)
        others = (off + on) / 2.0
    else:
        entropies = -tf.nn.log_softmax(outputs)
        if loss == "focal":
            entropies = _focal(entropies)
        others = tf.reduce_mean(entropies, axis=1)
    return (1.0 - share) * losses(loss, targets, outputs) + share * others


def _focal(entropies: tf.Tensor) -> tf.Tensor:
    return entropies * tf.pow(1.0 - tf.exp(-entropies), FOCUS)


def _entropies(targets: tf.Tensor, outputs: tf.Tensor, several: bool) -> tf.Tensor:
    if not several:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=outputs)
    truth = tf.cast(targets, outputs.dtype)
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=truth, logits=outputs)


def _errors(loss: str, targets: tf.Tensor, answers: tf.Tensor) -> tf.Tensor:
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
    """Return each row's score, shape [B].

    It is 1 where the class is right, the share of labels that are right, or the squared error; of
    several quantities those of each, [B, T].
    """
    if loss in (RECONSTRUCTION, CORRUPTION):
        return losses(loss, targets, outputs)
    several = targets.shape.rank == 2
    if LOSSES[loss].task == "classification":
        if several:
            right = tf.equal(outputs > 0, targets > 0)
            return tf.reduce_mean(tf.cast(right, tf.float32), axis=1)
        right = tf.equal(tf.argmax(outputs, axis=1, output_type=tf.int32), targets)
        return tf.cast(right, tf.float32)
    answers = tf.exp(outputs) if LOSSES[loss].logarithmic else outputs
    return tf.square(answers - targets) if several else losses("squared", targets, answers)


def times(weights: tf.Tensor | None, values: tf.Tensor) -> tf.Tensor:
    """Return weights [B] · values, [B] or [B, T]; the values alone if there are no weights."""
    if weights is None:
        return values
    return (weights[:, None] if values.shape.rank == 2 else weights) * values


def untrained_loss(split: Any, loss: str) -> float:
    """Return the loss of a network whose outputs are all 0.

    For classes it is that of equal probabilities, for cross-entropy ln K for K classes: the
    entropy of the class frequencies can be far lower, but fresh weights do not know them. For
    numbers it is that of the mean, for the squared error 1.

    Args:
        split: The split.
        loss: Name of the loss.
    """
    y = split.target(split.y_train)
    if y.dtype.kind != "f":
        y, width = y[:1], max(2, int(y.max()) + 1) if y.ndim == 1 else y.shape[1]
    else:
        width = 1 if y.ndim == 1 else y.shape[1]
    found = losses(loss, tf.constant(y), tf.zeros((len(y), width)))
    return float(np.mean(found.numpy(), dtype=np.float64))
