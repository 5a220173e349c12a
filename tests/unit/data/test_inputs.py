"""What the inputs of a network are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from trainstack.search.data.inputs import Inputs
from trainstack.search.data.load import load


def test_columns_are_found_by_their_number_of_categories() -> None:
    """Columns of more features than asked for are given by their places, in their order."""
    inputs = Inputs(3, 18, (2, 9, 5))  # two indicators come before the categories
    assert inputs.width == 21
    assert inputs.columns(1) == [(5, 7), (7, 16), (16, 21)]
    assert inputs.columns(5) == [(7, 16)]
    assert inputs.columns(9) == Inputs(3).columns(1) == []


def test_a_tables_inputs_are_the_encoders_features(tmp_path: Path) -> None:
    """In every split each categorical column has its own features, at most 50, the last ones."""
    rng = np.random.default_rng(0)
    town = [f"t{k}" for k in rng.permutation(np.arange(600) % 70)]
    frame = pd.DataFrame({"town": town, "size": rng.normal(size=600)})
    frame["colour"] = [("red", "green", None)[k % 3] for k in range(600)]
    frame.loc[::9, "size"] = np.nan
    frame["price"] = rng.normal(size=600)
    frame.to_csv(tmp_path / "table.csv", index=False)
    dataset = load(str(tmp_path / "table.csv"), "price")
    assert dataset.inputs == Inputs(1, 54, (50, 3))
    for split in (dataset.split(0), dataset.split(1), dataset.whole()):
        assert split.inputs == dataset.inputs
        assert split.x_train.shape[1] == dataset.inputs.width
        for first, end in dataset.inputs.columns(2):
            assert len({name.split("_")[2] for name in split.feature_names[first:end]}) == 1
            np.testing.assert_array_equal(split.x_train[:, first:end].sum(axis=1), 1.0)
