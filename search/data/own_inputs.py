"""The inputs of a user's own network: the data in its shape."""

from __future__ import annotations

import numpy as np

from trainstack.search.data.dataset import Dataset

# Name of a single input.
INPUTS = "inputs"


def inputs_of(dataset: Dataset) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return name and shape of each input of a network, in the order of a row's numbers.

    Images [N, H, W] of bytes have one channel: [H, W, 1].
    """
    if dataset.is_table or dataset.image_shape is None:
        return ((INPUTS, (dataset.features,)),)
    shape = dataset.image_shape
    if len(shape) == 2 and dataset.x.dtype == np.uint8:
        shape = (*shape, 1)
    return ((INPUTS, shape),)
