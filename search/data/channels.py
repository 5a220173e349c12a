"""Inputs in a shape of their own: standardised by channel instead of by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trainstack.search.data.preparation import BLOCK_ROWS, Linear
from trainstack.search.data.splitting import Split

_NAME = "channels"


def by_channel(split: Split, shapes: Sequence[tuple[int, ...]]) -> Split:
    """Return a split whose inputs are standardised by channel.

    A channel is a place of the last axis: of images [H, W, C] and sequences [T, C] all positions of
    a channel share mean and deviation, which are those of the training rows. Features [D] have one
    of each.

    Args:
        split: The split.
        shapes: Shapes of the inputs that a row holds one after the other.
    """
    if split.prepared_as == (_NAME, None):
        return split
    shift, scale, first = [], [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        mean, deviation = _statistics(split.x_train[:, first : first + size], shape[-1])
        shift.append(np.tile(mean, size // shape[-1]))
        scale.append(np.tile(deviation, size // shape[-1]))
        first += size
    preparation = Linear(np.concatenate(shift), np.concatenate(scale))
    return replace(split, preparation=preparation, prepared_as=(_NAME, None))


def _statistics(x: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel, [C]; the deviation of a constant is 1."""
    count = x.size // channels
    blocks = [x[k : k + BLOCK_ROWS].reshape(-1, channels) for k in range(0, len(x), BLOCK_ROWS)]
    mean = np.sum([block.sum(0, np.float64) for block in blocks], axis=0) / count
    squares = np.sum([np.square(block - mean).sum(0) for block in blocks], axis=0)
    deviation = np.sqrt(squares / count)
    return mean, np.where(deviation > 0.0, deviation, 1.0)
