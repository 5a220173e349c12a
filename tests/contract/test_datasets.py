"""Requirements of every named data set. Each has a line here."""

from __future__ import annotations

import numpy as np
import pytest

from trainstack.search.data.catalogue import DATASETS
from trainstack.search.data.load import load
from trainstack.spaces.errors import RequestError

# Name → total rows, features, classes (none: regression).
SHAPES = {
    "digits": (1_797, 64, 10),
    "breast-cancer": (569, 30, 2),
    "wine": (178, 13, 3),
    "diabetes": (442, 10, 0),
    "fashion-mnist": (70_000, 784, 10),
    "mnist": (70_000, 784, 10),
    "cifar10": (60_000, 3_072, 10),
}


def test_every_data_set_has_a_shape() -> None:
    """SHAPES has exactly the data sets of the catalogue."""
    assert set(SHAPES) == set(DATASETS)


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_has_the_shape_it_is_known_for(name: str) -> None:
    """Rows, features and classes are the published ones; an absent data set gives a hint."""
    rows, features, classes = SHAPES[name]
    try:
        data = load(name, None, "auto")
    except RequestError as error:
        if "keras.datasets" not in str(error):  # the message must name a way to get the files
            raise
        pytest.skip(f"{name} is not on this machine")
    found = data.describe()
    assert sum(len(part.y) for part in data.parts.values()) == rows
    assert (found.features, len(found.classes)) == (features, classes)
    assert found.task == ("classification" if classes else "regression")
    assert load(name, None, "auto").fingerprint == data.fingerprint
    split = data.split(0)
    assert abs(float(np.mean(split.prepare(split.x_train)))) < 0.01
