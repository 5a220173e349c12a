"""Streaming of data that does not fit on the device: the same batches, in runs of steps.

The host prepares the rows of a run of steps while the device trains the previous run; `tf.data`
prefetches the next ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import tensorflow as tf

from trainstack.search.data.inputs import Inputs

# Bytes of one run's inputs: large enough that the overhead of starting a run is negligible.
RUN_BYTES = 64 << 20
# Number of prefetched runs.
AHEAD = 2
# Share of a worker's memory that resident data may take.
RESIDENT_SHARE = 0.5
# Memory of a GPU available for data when a worker has no memory limit.
GPU_BYTES = 4 << 30


@dataclass(frozen=True)
class StreamedData:
    """A split whose raw inputs stay on the host; targets are on the device.

    Attributes:
        x_train: Raw inputs, [N, D], any number type.
        y_train: int32 labels or float32 standardised targets, [N].
        x_valid: Raw inputs, [M, D].
        y_valid: Their targets, [M].
        prepare: Raw [B, D] → prepared float32 [B, D].
        run_bytes: Bytes of one run's prepared inputs.
        w_train: Weights of the training rows, float32 [N]; None: all are 1.
        w_valid: Weights of the validation rows, float32 [M]; None: all are 1.
        inverse: As in `trainstack.workers.engine.device_data.DeviceData`.
        others: As there.
        categories: As there.
        x_unlabelled: Raw inputs of rows without a target, [U, D]; None: none.
    """

    x_train: np.ndarray
    y_train: tf.Tensor
    x_valid: np.ndarray
    y_valid: tf.Tensor
    prepare: Callable[[np.ndarray], np.ndarray]
    run_bytes: int = RUN_BYTES
    w_train: tf.Tensor | None = None
    w_valid: tf.Tensor | None = None
    inverse: tf.Tensor | None = None
    others: int = 0
    categories: tuple[int, ...] = ()
    x_unlabelled: np.ndarray | None = None

    @property
    def rows(self) -> tuple[int, int]:
        """Numbers of training and validation rows."""
        return len(self.x_train), len(self.x_valid)

    @property
    def lengths(self) -> tuple[int, int]:
        """The same, as `DeviceData.lengths`."""
        return self.rows

    @property
    def features(self) -> int:
        """Width of the input."""
        return self.x_train.shape[1]

    @property
    def layout(self) -> Inputs:
        """What the features are."""
        return Inputs(self.features - self.others, self.others, self.categories)

    def head(self, rows: int) -> tf.Tensor:
        """Return the first `rows` training rows, prepared."""
        return tf.constant(self.prepare(self.x_train[:rows]))

    def inputs(self, rows: np.ndarray) -> tf.Tensor:
        """Return the inputs of some training rows, by their places, prepared."""
        return tf.constant(self.prepare(self.x_train[rows]))

    def runs(self, order: np.ndarray) -> Iterator[tuple[slice, Any, Any, Any]]:
        """Yield an epoch in runs of steps.

        Args:
            order: int32 [steps, batch], rows of the training part.

        Yields:
            The steps, and their rows' inputs [S · batch, D], targets [S · batch] and weights (or
            None), batch by batch.
        """
        steps, batch = order.shape
        length = max(1, self.run_bytes // (4 * self.features * batch))
        starts = range(0, steps, length)

        def inputs() -> Iterator[np.ndarray]:
            for start in starts:
                yield self.prepare(self.x_train[order[start : start + length].ravel()])

        spec = tf.TensorSpec((None, self.features), tf.float32)
        ready = tf.data.Dataset.from_generator(inputs, output_signature=spec).prefetch(AHEAD)
        for start, x in zip(starts, ready, strict=True):
            part = slice(start, min(start + length, steps))
            rows = order[part].ravel()
            yield part, x, tf.gather(self.y_train, rows), _gathered(self.w_train, rows)

    def validation(self) -> Iterator[tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]]:
        """Yield the validation part's inputs, targets and weights in slices, prepared."""
        length = max(1, self.run_bytes // (4 * self.features))
        for start in range(0, len(self.x_valid), length):
            part = slice(start, start + length)
            weights = None if self.w_valid is None else self.w_valid[part]
            yield tf.constant(self.prepare(self.x_valid[part])), self.y_valid[part], weights


def _gathered(weights: tf.Tensor | None, rows: np.ndarray) -> tf.Tensor | None:
    return None if weights is None else tf.gather(weights, rows)


def resident_bytes(device: str, threads: int, memory_mb: int = 0) -> int:
    """Return the number of bytes of data that a trainer may keep on its device.

    It is half of the memory limit if there is one; otherwise half of the trainer's share of the
    machine's memory (by threads) on the CPU, and a fixed amount on a GPU.
    """
    if memory_mb:
        return int(RESIDENT_SHARE * (memory_mb << 20))
    if device == "gpu":
        return GPU_BYTES
    cores = psutil.cpu_count() or 1
    share = min(1.0, threads / cores) if threads else 1.0
    return int(RESIDENT_SHARE * share * psutil.virtual_memory().total)


def put(split: Any, fits_bytes: int, resident: Callable[..., Any]) -> Any:
    """Return a split's data for training: on the device if it fits, else streamed.

    Args:
        split: The encoded split.
        fits_bytes: Bytes that the device may keep.
        resident: Makes resident data from x_train, y_train, x_valid, y_valid, w_train, w_valid,
            `inverse`, `others`, `categories` and `x_unlabelled`.
    """
    w_train, w_valid = (
        None if w is None else tf.constant(w, tf.float32) for w in (split.w_train, split.w_valid)
    )
    inverse = None if split.log is None else tf.constant(split.inverse)
    more: dict[str, Any] = {
        "w_train": w_train,
        "w_valid": w_valid,
        "inverse": inverse,
        "others": split.others,
        "categories": split.categories,
    }
    aside = split.x_unlabelled
    rows = len(split.x_train) + len(split.x_valid) + (0 if aside is None else len(aside))
    needed = 4 * split.x_train.shape[1] * rows
    if needed <= fits_bytes:
        prepared = split.prepared()
        parts = (prepared.x_train, prepared.y_train, prepared.x_valid, prepared.y_valid)
        tensors = (tf.constant(part) for part in parts)
        if aside is not None:
            more["x_unlabelled"] = tf.constant(split.prepare(aside))
        return resident(*tensors, **more)
    return StreamedData(
        split.x_train,
        tf.constant(split.trained(split.y_train)),
        split.x_valid,
        tf.constant(split.target(split.y_valid)),
        split.prepare,
        RUN_BYTES,
        x_unlabelled=aside,
        **more,
    )
