"""Runs under a condition: other weights, rows or labels.

Training itself is unchanged: a condition alters the split and the initial weights of a run.
Pretrained lower layers are in `trainstack.workers.tasks.reuse`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.conditions import ALL, EARLIER, Condition
from trainstack.search.records import CONFIRMATION
from trainstack.spaces.stack import Stack

if TYPE_CHECKING:
    from trainstack.workers.messages import Job

UNFROZEN_RATE = 1 / 3
# Minimum number of training rows per labelled row for labels to count as scarce.
PLENTY = 4
# Choices that allow lower layers to be reused: dense layers and nothing between them.
_REUSABLE = {
    **{"normalization": "none", "input_normalization": "none", "connection": "plain"},
    **{"dropout": "none", "embedding": "none", "input_scale": "none", "members": "one"},
    **{"categories": "one_hot", "pretraining": "none"},
}


class UnmetError(Exception):
    """The data cannot serve the condition, so the run is infeasible; the message is the reason."""


def check(job: Job, experiment: bool) -> None:
    """Refuse a condition outside a run of a designed experiment.

    Raises:
        ValueError: The run belongs to no experiment, or the stack's layers cannot be reused.
    """
    if not job.condition:
        return
    assert job.stack is not None
    if job.kind != CONFIRMATION or not experiment:
        raise ValueError(f"a {job.kind} run under a condition: only experiments for claims have it")
    stack = job.stack
    fits = len(stack.units) > 1 and all(stack[axis] == to for axis, to in _REUSABLE.items())
    if job.condition.pretrained and not fits:
        raise ValueError("reused layers need two plain dense layers or more, and nothing between")


def outputs(condition: Condition, classes: int) -> int:
    """Return the width of the head: the number of classes left (1 for a regression)."""
    if condition.classes == ALL:
        return classes
    earlier = (classes + 1) // 2
    return earlier if condition.classes == EARLIER else classes - earlier


def changed(split: Any, condition: Condition, classes: int, seed: int) -> Any:
    """Return a split changed by a condition; labels start at 0 again.

    Args:
        split: A `trainstack.search.data.splitting.Split`.
        condition: The condition to apply.
        classes: Number of classes of the data; 0: a regression.
        seed: Seed that selects the known labels, the same for every run with this seed.

    Raises:
        UnmetError: The data has too few classes or rows.
    """
    if condition.classes != ALL:
        split = _half(split, condition, classes)
    if condition.labels:
        split = _few_labels(split, condition.labels, seed)
    return split


def _half(split: Any, condition: Condition, classes: int) -> Any:
    if classes < 4:
        what = f"{classes} classes" if classes else "data without classes"
        raise UnmetError(f"a related task of other classes needs 4 classes, and this is {what}")
    first = 0 if condition.classes == EARLIER else (classes + 1) // 2
    last = first + outputs(condition, classes)
    parts: dict[str, np.ndarray] = {}
    for part in ("train", "valid", "test"):
        x, y = getattr(split, f"x_{part}"), getattr(split, f"y_{part}")
        here = (y >= first) & (y < last)
        parts |= {f"x_{part}": x[here], f"y_{part}": (y[here] - first).astype(y.dtype)}
        if (w := getattr(split, f"w_{part}")) is not None:
            parts[f"w_{part}"] = w[here]
    return replace(split, **parts)


def _few_labels(split: Any, labels: int, seed: int) -> Any:
    """Keep `labels` training rows, taken from the classes in turn; the inputs' statistics stay."""
    rows = len(split.y_train)
    if rows < PLENTY * labels:
        raise UnmetError(
            f"{labels} labels are scarce among {PLENTY * labels} training rows or more, "
            f"and this has {rows}"
        )
    order = np.random.default_rng([seed, 3]).permutation(rows)
    y = split.y_train[order]
    if y.ndim == 1 and y.dtype.kind != "f":
        # Classes: the first row of each, then the second of each, …
        turn = np.zeros(rows, int)
        for label in np.unique(y):
            turn[y == label] = np.arange((y == label).sum())
        order = order[np.argsort(turn, kind="stable")]
    kept = np.sort(order[:labels])
    w = None if split.w_train is None else split.w_train[kept]
    return replace(split, x_train=split.x_train[kept], y_train=split.y_train[kept], w_train=w)


def unfrozen(stack: Stack) -> Stack:
    """Return a stack with the lower learning rate used after reused layers are unfrozen."""
    rate = stack["optimizer.learning_rate"] * UNFROZEN_RATE
    return stack.but(optimizer__learning_rate=rate)
