"""The data of several networks that are trained at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import tensorflow as tf

from trainstack.workers.engine.device_data import DeviceData


@dataclass(frozen=True)
class BundleData:
    """The splits of several networks.

    Parts of unequal length are padded. Padding is never trained on and has weight 0 in validation.

    Attributes:
        rows: Numbers of training and validation rows of each network.
        shared: Whether all networks use the same split.
        parts: The split; if it is not shared, its tensors have a leading axis of networks.
    """

    rows: tuple[tuple[int, int], ...]
    shared: bool
    parts: DeviceData

    @classmethod
    def of(cls, splits: Sequence[DeviceData]) -> BundleData:
        """Return the data of networks that train on these splits, one for each."""
        rows = tuple(split.rows for split in splits)
        if all(split is splits[0] for split in splits):
            return cls(rows, True, splits[0])
        names = [field.name for field in fields(DeviceData)]
        tensors: Any = {name: _stacked([getattr(s, name) for s in splits]) for name in names}
        parts = DeviceData(**tensors)
        if parts.w_valid is None and len({valid for _, valid in rows}) > 1:
            parts = replace(parts, w_valid=_stacked([tf.ones(valid) for _, valid in rows]))
        return cls(rows, False, parts)


def _stacked(tensors: list[Any]) -> tf.Tensor | None:
    """Stack tensors along a new first axis, each padded with zeros to the longest."""
    if tensors[0] is None:
        return None
    longest = max(cast(int, tensor.shape[0]) for tensor in tensors)
    padded = [
        tf.pad(t, [[0, longest - cast(int, t.shape[0])], *[[0, 0]] * (t.shape.rank - 1)])
        for t in tensors
    ]
    return tf.stack(padded)
