"""Rows some of whose values are those of other rows: the auxiliary task of pretraining.

A network learns to tell which values were replaced, for which it must know how the features depend
on each other. Reference: Yoon et al., "VIME: Extending the Success of Self- and Semi-supervised
Learning to Tabular Domain", 2020 (its mask estimation).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from trainstack.workers.engine.device_data import DeviceData, lengthened
from trainstack.workers.engine.streaming import StreamedData

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Rows that are corrupted at a time, which bounds the memory of random numbers.
BLOCK = 16_384


def corrupted(x: np.ndarray, share: float, categories: Sequence[int], rng: Any) -> np.ndarray:
    """Return rows in which some columns have the value of another row, each drawn by itself.

    Args:
        x: Rows, [N, D].
        share: Probability of each value to be replaced.
        categories: Number of features of each categorical column, the last of all; these features
            are replaced together.
        rng: NumPy's random generator.
    """
    numbers = x.shape[1] - sum(categories)
    of = np.r_[np.arange(numbers), numbers + np.repeat(np.arange(len(categories)), categories)]
    found = x.copy()
    for start in range(0, len(x), BLOCK):
        part = found[start : start + BLOCK]
        size = len(part), numbers + len(categories)
        drawn = (rng.random(size) < share)[:, of.astype(int)]
        donors = rng.integers(len(x), size=size)[:, of.astype(int)]
        part[drawn] = x[donors, np.arange(x.shape[1])][drawn]
    return found


def corrupting(
    rows: DeviceData | StreamedData, share: float, rng: np.random.Generator
) -> DeviceData | StreamedData:
    """Return corrupted rows, whose targets are 1 for values that differ from the rows' own, else 0.

    Args:
        rows: Rows on the device, or streamed.
        share: As for `corrupted`.
        rng: Likewise.
    """
    if isinstance(rows, StreamedData):
        given = {field.name: getattr(rows, field.name) for field in fields(StreamedData)}
        found = corrupted(rows.x_train, share, rows.categories, rng)
        return _StreamedCorrupted(**{**given, "x_train": found}, clean=rows.x_train)
    clean = rows.x_train.numpy()[: rows.rows[0]]
    found = corrupted(clean, share, rows.categories, rng)
    targets = (found != clean).astype(np.float32)
    x, y = (lengthened(tf.constant(part), rows.lengths[0]) for part in (found, targets))
    return replace(rows, x_train=x, y_train=y, y_valid=tf.zeros_like(rows.x_valid))


@dataclass(frozen=True)
class _StreamedCorrupted(StreamedData):
    """Streamed corrupted rows, beside those from which they were made."""

    clean: Any = None

    def runs(self, order: np.ndarray) -> Iterator[tuple[slice, Any, Any, Any]]:
        for part, x, _, w in super().runs(order):
            rows = order[part].ravel()
            differs = self.clean[rows] != self.x_train[rows]
            yield part, x, tf.constant(differs, tf.float32), w

    def validation(self) -> Iterator[tuple[Any, Any, Any]]:
        for x, _, w in super().validation():
            yield x, tf.zeros_like(x), w
