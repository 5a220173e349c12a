"""Predictions for validation rows, kept in the artifact store: a small file for each run.

Ensembles, calibration and the errors of intervals look them up.
"""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainstack.search.artifacts import Store
from trainstack.search.metrics.table import REGRESSION

log = logging.getLogger("trainstack.trainer")

_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class KeptPredictions:
    """Predictions for validation rows, by networks that were not trained on them.

    Attributes:
        rows: Positions of the rows among those that are not given as a part of their own, or in
            the given validation part; int32 [N].
        predictions: Probabilities [N, K], or numbers in the target's unit [N]; of several targets
            the probability of each label's second value, or numbers, [N, T].
    """

    rows: np.ndarray
    predictions: np.ndarray

    def ordered(self) -> KeptPredictions:
        """Return each row once, in rising order, with the mean of its predictions."""
        rows, places, counts = np.unique(self.rows, return_inverse=True, return_counts=True)
        total = np.zeros((len(rows), *self.predictions.shape[1:]))
        np.add.at(total, places, self.predictions)
        return KeptPredictions(rows, total / counts.reshape(-1, *[1] * (total.ndim - 1)))


def write_predictions(store: Store, name: str, kept: KeptPredictions, task: str) -> None:
    """Write predictions: logarithms of probabilities and odds in float16, numbers in float64.

    Raises:
        OSError: As `Store.write`.
    """
    p = kept.predictions
    if task == REGRESSION:
        values = p.astype(np.float64)
    elif p.ndim > 1 and task == "classification":
        values = np.log(np.maximum(p, _TINY)).astype(np.float16)
    else:
        odds = np.log(np.maximum(p, _TINY)) - np.log(np.maximum(1 - p, _TINY))
        values = odds.astype(np.float16)
    content = io.BytesIO()
    np.savez_compressed(content, rows=kept.rows.astype(np.int32), predictions=values)
    store.write(name, lambda file: file.write(content.getvalue()))


def read_predictions(store: Store, names: Sequence[str], task: str) -> KeptPredictions | None:
    """Read the predictions of some files as one; None if a file cannot be read.

    Args:
        store: The artifact store.
        names: Names of the files, at least one.
        task: The study's task.
    """
    parts = []
    for name in names:
        try:
            with store.read(name) as file, np.load(file, allow_pickle=False) as stored:
                parts.append((stored["rows"], stored["predictions"].astype(np.float64)))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("the predictions %s cannot be read (%s)", name, error)
            return None
    rows = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    if task == "classification":
        p = np.exp(values)
        values = p / p.sum(axis=1, keepdims=True)
    elif task != REGRESSION:
        values = 1 / (1 + np.exp(-values))
    return KeptPredictions(rows, values).ordered()
