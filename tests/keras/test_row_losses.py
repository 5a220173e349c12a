"""The loss of validation and test rows, measured on the host, is the loss that was trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from trainstack.search.data.preparation import fit
from trainstack.search.data.splitting import Split
from trainstack.search.metrics.losses import LOSSES
from trainstack.workers.engine.losses import losses
from trainstack.workers.tasks.metrics import Scorer

ROWS = 50


def split_of(y: np.ndarray) -> Split:
    """Return a split whose parts all have these targets, in their own unit."""
    x, several = np.zeros((len(y), 1), np.float32), y.shape[1:]
    unit = {"y_mean": np.zeros(several), "y_scale": np.ones(several)} if several else {}
    return Split(*(x, y) * 3, preparation=fit("standard", x), **unit)


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_rows_have_the_loss_that_was_trained_on(name: str, targets: int) -> None:
    """Every loss of one and of several targets equals the engine's, row by row."""
    rng = np.random.default_rng(0)
    row, classes = LOSSES[name], 0
    shape = (ROWS,) if targets == 1 else (ROWS, targets)
    y = np.abs(rng.normal(size=shape)).astype(np.float32)
    outputs = rng.normal(size=(ROWS, targets)).astype(np.float32)
    if row.task == "classification":
        classes = 4 if targets == 1 else 2
        y = rng.integers(0, classes, shape).astype(np.int32)
        outputs = rng.normal(size=(ROWS, classes if targets == 1 else targets)).astype(np.float32)
    split = split_of(y)
    if row.logarithmic:
        split = replace(split, logarithmic=True)
    scorer = Scorer(split, classes, name)
    found = scorer.losses(scorer.answers(outputs), "valid")
    ours = losses(name, tf.constant(y), tf.constant(outputs))
    np.testing.assert_allclose(found, ours, rtol=1e-5, atol=1e-6)
    assert (found >= 0).all()
