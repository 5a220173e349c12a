"""Weights of a split's rows: those of the data, times those of their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from trainstack.search.data.splitting import Split
from trainstack.search.metrics.table import CLASSIFICATION, MULTILABEL
from trainstack.spaces.errors import RequestError, nearest

_TITLES = {"train": "training", "valid": "validation", "test": "test"}
PARTS = tuple(_TITLES)


def weighted(
    split: Split, class_weight: str | Mapping[str, float], classes: Sequence[str]
) -> Split:
    """Return a split with each row's weight times its class's, relative to the training mean.

    The mean weight of the training part is 1, so learning rates and penalties keep their meaning.

    Args:
        split: The split, with the data's own weights if there are any.
        class_weight: `balanced` (every class has the same total weight in the training part), or
            class name → weight; empty: none.
        classes: Names of the classes in label order.

    Raises:
        RequestError: All rows of a part have the weight 0, so that it has no mean loss.
    """
    if not class_weight and split.w_train is None:
        return split
    own = {part: split.weights(part) for part in PARTS}
    factors = class_factors(split.y_train, own["train"], class_weight, classes)
    if factors is not None:
        own = {part: own[part] * factors[getattr(split, f"y_{part}")] for part in PARTS}
    for part, weights in own.items():
        if not weights.any():
            raise RequestError(
                f"every row of the {_TITLES[part]} part has the weight 0",
                "a row of a weight above 0 in each part",
                "leave rows of weight 0 out, or weigh more rows",
            )
    mean = own["train"].mean()
    return replace(split, **{f"w_{part}": own[part] / mean for part in PARTS})


def class_factors(
    y: np.ndarray,
    w: np.ndarray,
    class_weight: str | Mapping[str, float],
    classes: Sequence[str],
) -> np.ndarray | None:
    """Return each class's weight, [K]; None without weights of classes.

    Args:
        y: Labels of the training part, [N].
        w: Weights of its rows, [N].
        class_weight: As for `weighted`.
        classes: Names of the classes in label order.
    """
    if not class_weight:
        return None
    if not isinstance(class_weight, str):
        return np.array([float(class_weight.get(name, 1.0)) for name in classes])
    mass = np.bincount(y, weights=w, minlength=len(classes))
    # No factor gives a class that has no weight there the same total as the others.
    equal = np.zeros(len(classes))
    return np.divide(w.sum() / len(classes), mass, out=equal, where=mass > 0)


def check_class_weight(
    class_weight: str | Mapping[str, float], classes: Sequence[str], task: str
) -> None:
    """Check the weights of classes before a study uses them.

    Raises:
        RequestError: The task has no classes, a class does not exist, or a weight is not a number
            above 0.
    """
    if not class_weight:
        return
    if task == MULTILABEL:
        raise RequestError(
            "--class-weight for several labels: a weight belongs to a row with all its labels",
            "a single target",
            "weigh rows with --weight COLUMN, or launch one study for each label",
        )
    if task != CLASSIFICATION:
        raise RequestError(f"--class-weight: a {task} has no classes", "a classification")
    if isinstance(class_weight, str):
        return
    for name, weight in class_weight.items():
        if name not in classes:
            raise RequestError(f"--class-weight: no class '{name}'", "", nearest(name, [*classes]))
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not (number and np.isfinite(weight) and weight > 0):
            raise RequestError(f"--class-weight: '{name}' has weight {weight!r}", "above 0")


def check_weights(w: np.ndarray, label: str) -> None:
    """Check the weights of a part's rows.

    Args:
        w: The weights, [N].
        label: Names them in the message.

    Raises:
        RequestError: A weight is missing, infinite or negative, or all are 0.
    """
    if not np.isfinite(w).all():
        raise RequestError(f"{label}: row {_first(~np.isfinite(w))} has no weight", "a number")
    if (w < 0).any():
        row = _first(w < 0)
        raise RequestError(f"{label}: row {row} has the weight {w[row - 1]:g}", "0 or more")
    if not (w > 0).any():
        raise RequestError(f"{label}: every weight is 0", "a weight above 0")


def _first(chosen: np.ndarray) -> int:
    """Return the number of the first chosen row, from 1."""
    return int(np.argmax(chosen)) + 1


def scaled_for_counts(split: Split) -> Split:
    """Return a split for counts: targets are divided by their mean over the training part.

    A network predicts the logarithm of this ratio.
    """
    scale = split.y_train.mean(axis=0)  # a number, or [T] of several targets
    return replace(split, y_mean=0.0 * scale, y_scale=scale, logarithmic=True)
