"""A table's columns as several inputs of a user's own network: `--input NAME=COLUMN,COLUMN`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainstack.search.data.load import load
from trainstack.search.data.own_inputs import inputs_of
from trainstack.search.own_network import OwnNetwork
from trainstack.search.python.launching import input_flags
from trainstack.spaces.errors import RequestError

ROWS = 120


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Reviews: numbers, one with gaps, a category, a date, a free text, and the length of it."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "price": np.where(np.arange(ROWS) % 7 == 0, np.nan, rng.normal(size=ROWS)),
            "shop": [("a", "b", "c")[row % 3] for row in range(ROWS)],
            "sold": pd.date_range("2024-01-01", periods=ROWS, freq="9h").astype(str),
            "review": [
                f"It is review number {row} of a product that I like." for row in range(ROWS)
            ],
            "length, in words": rng.normal(size=ROWS),
            "good": [("no", "yes")[row % 2] for row in range(ROWS)],
        }
    )
    path = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    frame.to_csv(path, index=False)
    return load(str(path), "good")


def columns_of(dataset: Any, places: tuple[int, ...]) -> set[str]:
    """The encoder's names of some features."""
    return {dataset.split(0).feature_names[place].partition("__")[2] for place in places}


def test_each_input_has_the_features_of_its_columns(table: Any) -> None:
    """A column brings its gaps, categories and calendar parts; the others are the input `rest`."""
    found = inputs_of(table, ["text=length, in words", "shop=shop,price"])
    assert [name for name, _ in found.shapes] == ["text", "shop", "rest"]
    text, shop, rest = (columns_of(table, places) for places in found.places)
    assert text == {"length, in words"}
    assert shop == {"price", "missingindicator_price", "shop_a", "shop_b", "shop_c"}
    assert rest
    assert all(name.startswith("sold") for name in rest)
    assert sorted(sum(found.places, ())) == list(range(table.features))
    assert [shape for _, shape in found.shapes] == [(len(places),) for places in found.places]


def test_the_inputs_travel_with_the_network(table: Any) -> None:
    """They are part of the network's document; without `--input` a table is one input."""
    found = inputs_of(table, ["text=length, in words"])
    network = OwnNetwork("n.py", "build", "", found.shapes, found.places)
    assert OwnNetwork.from_json(network.to_json()) == network
    one = inputs_of(table)
    assert (one.shapes, one.places) == ((("inputs", (table.features,)),), ())
    assert "places" not in replace(network, places=()).to_json()


WRONG = {
    ("length",): "expected NAME=COLUMN,COLUMN",
    ("my text=price",): "expected NAME=COLUMN,COLUMN",
    ("a=prize",): "no column 'prize'; expected a column for --input; did you mean 'price'",
    ("a=review",): "names 'review', which is left out (free text",
    ("a=price", "a=shop"): "names the input a twice",
    ("a=price", "b=shop,price"): "names 'price' twice",
    ("rest=price",): "names the input rest",
    ("a=price,shop,sold", "a2=length, in words"): "",
    ("a=good",): "--input",
}


@pytest.mark.parametrize("asked", [*WRONG])
def test_wrong_inputs_are_refused(table: Any, asked: tuple[str, ...]) -> None:
    """A name, a column or a division that is wrong is one line; a complete one has no `rest`."""
    if not WRONG[asked]:
        assert [name for name, _ in inputs_of(table, asked).shapes] == ["a", "a2"]
        return
    with pytest.raises(RequestError) as refused:
        inputs_of(table, asked)
    assert WRONG[asked] in str(refused.value)


def test_only_tables_have_columns(tmp_path: Path) -> None:
    """Arrays are refused with how an archive names several inputs."""
    np.savez(
        tmp_path / "a.npz", x_train=np.zeros((40, 3)) + np.arange(3), y_train=np.arange(40) % 2
    )
    with pytest.raises(RequestError, match="x_train_NAME"):
        inputs_of(load(str(tmp_path / "a.npz")), ["a=x0"])


def test_one_input_for_all_columns_is_refused(tmp_path: Path) -> None:
    """Then nothing is divided, and a network without `--input` gets the same."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=ROWS), "b": rng.normal(size=ROWS)})
    frame.assign(y=np.arange(ROWS) % 2).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(RequestError, match="one input for all columns"):
        inputs_of(load(str(tmp_path / "t.csv"), "y"), ["all=a,b"])


def test_a_program_gives_inputs_as_a_mapping() -> None:
    """Names to a column or a list of columns become the flag's values; others stay."""
    found = input_flags({"text": "length", "other": ["price", "shop"]})
    assert found == ["text=length", "other=price,shop"]
    assert input_flags(["text=length"]) == ["text=length"]
