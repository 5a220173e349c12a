"""The data of several networks that are trained at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import tensorflow as tf

from trainstack.workers.engine.device_data import DeviceData


@dataclass(frozen=True)
class BundleData:
    """The splits of several networks.

    Parts of unequal length are padded, as `DeviceData.padded`.

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
        train, valid = (max(lengths) for lengths in zip(*(s.lengths for s in splits), strict=True))
        padded = [split.padded(train, valid) for split in splits]
        if len({split.w_valid is None for split in padded}) > 1:
            ones = [tf.ones(valid) if s.w_valid is None else s.w_valid for s in padded]
            padded = [replace(s, w_valid=w) for s, w in zip(padded, ones, strict=True)]
        same = ("counts", "others", "categories")
        names = [field.name for field in fields(DeviceData) if field.name not in same]
        tensors: Any = {name: _stacked([getattr(s, name) for s in padded]) for name in names}
        return cls(rows, False, DeviceData(**tensors))


def _stacked(tensors: list[Any]) -> tf.Tensor | None:
    """Stack tensors of equal shape along a new first axis."""
    return None if tensors[0] is None else tf.stack(tensors)
