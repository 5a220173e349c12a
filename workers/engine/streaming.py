"""Data that does not fit the device's share: the same batches in the same order, in runs of steps.

The host standardises the rows of a run of steps while the device trains the run before; `tf.data`
keeps the next ones ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import tensorflow as tf

# Bytes of one run's inputs: large enough that starting a run costs nothing beside it.
RUN_BYTES = 64 << 20
# Runs kept ready.
AHEAD = 2
# Of a worker's memory, how much resident data may take.
RESIDENT_SHARE = 0.5
# What a GPU is taken to have for data where nobody said how much memory a worker may use.
GPU_BYTES = 4 << 30


@dataclass(frozen=True)
class StreamedData:
    """One split that stays on the host, raw; targets are on the device.

    Attributes:
        x_train: Raw inputs, [N, D], any number type.
        y_train: int32 labels or float32 standardised targets, [N].
        x_valid: Raw inputs, [M, D].
        y_valid: Their targets, [M].
        standardise: Raw [B, D] → standardised float32 [B, D].
        run_bytes: Bytes of one run's standardised inputs.
    """

    x_train: np.ndarray
    y_train: tf.Tensor
    x_valid: np.ndarray
    y_valid: tf.Tensor
    standardise: Callable[[np.ndarray], np.ndarray]
    run_bytes: int = RUN_BYTES

    @property
    def rows(self) -> tuple[int, int]:
        """Training and validation rows."""
        return len(self.x_train), len(self.x_valid)

    @property
    def features(self) -> int:
        """Width of the input."""
        return self.x_train.shape[1]

    def head(self, rows: int) -> tf.Tensor:
        """Return the first training rows, standardised."""
        return tf.constant(self.standardise(self.x_train[:rows]))

    def runs(self, order: np.ndarray) -> Iterator[tuple[slice, Any, Any]]:
        """Yield an epoch in runs of steps.

        Args:
            order: int32 [steps, batch], rows of the training part.

        Yields:
            Which steps, their rows' inputs [S · batch, D] and targets [S · batch], batch by
            batch.
        """
        steps, batch = order.shape
        length = max(1, self.run_bytes // (4 * self.features * batch))
        starts = range(0, steps, length)

        def inputs() -> Iterator[np.ndarray]:
            for start in starts:
                yield self.standardise(self.x_train[order[start : start + length].ravel()])

        spec = tf.TensorSpec((None, self.features), tf.float32)
        ready = tf.data.Dataset.from_generator(inputs, output_signature=spec).prefetch(AHEAD)
        for start, x in zip(starts, ready, strict=True):
            part = slice(start, min(start + length, steps))
            yield part, x, tf.gather(self.y_train, order[part].ravel())

    def validation(self) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Yield the validation part in slices, standardised."""
        length = max(1, self.run_bytes // (4 * self.features))
        for start in range(0, len(self.x_valid), length):
            part = slice(start, start + length)
            yield tf.constant(self.standardise(self.x_valid[part])), self.y_valid[part]


def resident_bytes(device: str, threads: int, memory_mb: int = 0) -> int:
    """Return how many bytes of data a trainer may keep on its device.

    Half of its memory limit where it has one; else, on the CPU, half of its share of the machine's
    memory (by threads), and on a GPU a fixed amount.
    """
    if memory_mb:
        return int(RESIDENT_SHARE * (memory_mb << 20))
    if device == "gpu":
        return GPU_BYTES
    cores = psutil.cpu_count() or 1
    share = min(1.0, threads / cores) if threads else 1.0
    return int(RESIDENT_SHARE * share * psutil.virtual_memory().total)


def put(split: Any, fits_bytes: int, resident: Callable[..., Any]) -> Any:
    """Return a split's data for training: on the device where it fits, else streamed.

    Args:
        split: The encoded split.
        fits_bytes: What the device may keep.
        resident: Makes resident data of x_train, y_train, x_valid, y_valid.
    """
    needed = 4 * split.x_train.shape[1] * (len(split.x_train) + len(split.x_valid))
    if needed <= fits_bytes:
        standard = split.standardised()
        parts = (standard.x_train, standard.y_train, standard.x_valid, standard.y_valid)
        return resident(*(tf.constant(part) for part in parts))
    return StreamedData(
        split.x_train,
        tf.constant(split.target(split.y_train)),
        split.x_valid,
        tf.constant(split.target(split.y_valid)),
        split.standardise,
    )
