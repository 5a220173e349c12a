"""The data of several networks that are trained at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
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
        if len({(split.lengths, split.w_valid is None) for split in splits}) > 1:
            train, valid = map(max, zip(*(split.lengths for split in splits), strict=True))
            splits = [split.padded(train, valid) for split in splits]
        same = ("counts", "others", "categories")
        names = [field.name for field in fields(DeviceData) if field.name not in same]
        tensors: Any = {name: _stacked([getattr(s, name) for s in splits]) for name in names}
        return cls(rows, False, DeviceData(**tensors))


def _stacked(tensors: list[Any]) -> tf.Tensor | None:
    """Stack tensors of equal shape along a new first axis."""
    return None if tensors[0] is None else tf.stack(tensors)
