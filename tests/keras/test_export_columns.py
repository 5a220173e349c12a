"""The exported model of a table takes its columns as they are, and encodes them as in training."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from trainstack.search.data.load import load
from trainstack.workers.export.columns import from_columns

pytestmark = pytest.mark.keras
ROWS = 400

# A program that must not import this package: prints the model's outputs for a CSV's rows.
ALONE = """
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("trainstack", "sklearn", "joblib"):
            raise ImportError(name)

sys.meta_path.insert(0, Blocked())
import keras
import pandas as pd

model = keras.models.load_model(sys.argv[1])
rows = pd.read_csv(sys.argv[2], keep_default_na=False, na_values={"x": [""], "km/h": [""]})
inputs = {each.name: rows[each.name.replace("km_h", "km/h")].to_numpy() for each in model.inputs}
json.dump(model(inputs).numpy().tolist(), sys.stdout)
"""


def table() -> pd.DataFrame:
    """Numbers with gaps, many categories, truth values in words, and names that Keras refuses."""
    rng = np.random.default_rng(0)
    rare = rng.exponential(25, ROWS).astype(int)
    return pd.DataFrame(
        {
            "x": np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(size=ROWS).round(3)),
            "km/h": rng.normal(1.7e9, 5.0, ROWS).round(2),
            "network": rng.integers(0, 90, ROWS) / 4,
            "town": [["Ede", "Köln", "", "[unknown]"][k % 4] for k in range(ROWS)],
            "rare": [f"c{k}" for k in rare],
            "open": [["yes", "No", "YES"][k % 3] for k in range(ROWS)],
            "y": rng.normal(size=ROWS),
        }
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a model whose outputs are the encoded features, and the encoder."""
    folder = tmp_path_factory.mktemp("columns")
    table().to_csv(folder / "train.csv", index=False)
    dataset = load(str(folder / "train.csv"), "y")
    split = dataset.split(0)
    inputs = keras.Input((split.x_train.shape[1],), dtype="float64")
    network = keras.Model(inputs, keras.ops.multiply(inputs, 1))
    model = from_columns(network, dataset, split.encoder)
    model.save(folder / "model.keras")
    return folder, dataset, split.encoder


def test_names_are_the_columns(exported: Any) -> None:
    """The inputs are named after the columns, but for slashes and names of the parts."""
    model: Any = keras.models.load_model(exported[0] / "model.keras")
    names = {each.name: each.dtype for each in model.inputs}
    assert names == {
        **dict.fromkeys(("x", "km_h", "network_"), "float64"),
        **dict.fromkeys(("town", "rare", "open"), "string"),
    }


def test_any_text_and_gap_is_encoded_as_in_training(exported: Any) -> None:
    """Known, rare, unknown and missing categories, gaps and words give the encoder's features."""
    folder, dataset, encoder = exported
    model: Any = keras.models.load_model(folder / "model.keras")
    levels = sorted({*table()["rare"], "never seen"})
    towns = ["Ede", "Köln", "", "[unknown]", "ede", "Bonn"]
    count = len(levels)
    rows = {
        "x": np.where(np.arange(count) % 3 == 0, np.nan, np.linspace(-2, 2, count)),
        "km/h": np.linspace(1.6e9, 1.8e9, count),
        "network": np.where(np.arange(count) % 5 == 0, np.nan, 1.0),
        "open": np.arange(count) % 2.0,
        "town": [towns[k % 6] or "(missing)" for k in range(count)],
        "rare": levels,
    }
    expected = encoder.transform(pd.DataFrame(rows)[list(dataset.columns)])
    texts = {"town": [towns[k % 6] for k in range(count)], "open": ["nO", "yEs"] * count}
    given = {**rows, **texts, "km_h": rows["km/h"], "network_": rows["network"]}
    found = model({each.name: np.array(given[each.name][:count]) for each in model.inputs})
    np.testing.assert_array_equal(found, expected)
    assert len({*map(tuple, expected[:, -49:].tolist())}) == 50  # the rare ones share a feature


def test_it_loads_without_this_package(exported: Any, tmp_path: Path) -> None:
    """A process with TensorFlow and without this package gets the same from a CSV's rows."""
    folder, dataset, encoder = exported
    frame = table().drop(columns="network").assign(network_=table()["network"])
    frame.loc[:5, "rare"] = "never seen"
    frame.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "alone.py").write_text(ALONE, "utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "alone.py", str(folder / "model.keras"), "rows.csv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = dataset.x.copy()
    rows.loc[:5, "rare"] = "never seen"
    np.testing.assert_array_equal(json.loads(done.stdout), encoder.transform(rows))
