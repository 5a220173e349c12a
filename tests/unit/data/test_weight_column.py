"""A table's column of weights is read as its other numbers are, and is no feature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainstack.search.cli.data import text_of
from trainstack.search.cli.main import run
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.generated_code import python_lines
from trainstack.search.data.load import load
from trainstack.search.data.summary import summary_of
from trainstack.spaces.errors import RequestError

ROWS = 80
COUNT = np.arange(ROWS)
X = np.random.default_rng(0).normal(size=ROWS).round(4)


def loaded(folder: Path, weights: Any, ending: str = "csv", **columns: Any) -> Dataset:
    """Load a table with these weights."""
    frame = pd.DataFrame({"w": weights, **{"x": X, **columns}, "y": COUNT % 2})
    path = folder / f"t.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    return load(str(path), "y", weight="w")


# Cells and their values.
FORMATS: dict[str, tuple[Any, np.ndarray]] = {
    "whole": (COUNT, COUNT),
    "powers": ([f"{k}e-3" for k in COUNT], COUNT / 1000),
    "thousands": ([f"{1000 * k:,}" for k in COUNT], 1000 * COUNT),
    "decimal comma": ([f"{k},5" for k in COUNT], COUNT + 0.5),
    "per cent": ([f"{k} %" for k in COUNT], COUNT),
    "money": ([f"${k}.25" for k in COUNT], COUNT + 0.25),
    "leading zeros": ([f"{k:03}" for k in COUNT], COUNT),
}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("name", FORMATS)
def test_weights_are_read_in_every_format(name: str, ending: str, tmp_path: Path) -> None:
    """By the product, and by the exported code."""
    cells, values = FORMATS[name]
    data = loaded(tmp_path, cells, ending)
    np.testing.assert_array_equal(data.parts["train"].w, values)
    scope: dict[str, Any] = {"seed": 3}
    exec("\n".join(python_lines(data)), scope)
    np.testing.assert_array_equal(scope["w_train"], data.split(3).w_train)
    assert data.columns == ("x",)


def test_a_point_separates_thousands_beside_decimal_commas(tmp_path: Path) -> None:
    """As in the other columns of the file."""
    comma = [f"{k},5" for k in COUNT]
    data = loaded(tmp_path, [f"{1 + k % 9}.000" for k in COUNT], x=comma)
    np.testing.assert_array_equal(data.parts["train"].w, 1000.0 * (1 + COUNT % 9))
    assert "The weight 'w' is read as numbers with '.' between thousands" in " ".join(data.notes)


def test_the_column_is_described_as_weight(tmp_path: Path) -> None:
    """In its place, with the reason why it is no feature; nothing else mentions it."""
    data = loaded(tmp_path, COUNT + 1)
    summary = summary_of(data)
    weight = summary.columns[0]
    assert (weight.name, weight.kind, weight.used, weight.features) == ("w", "number", False, 0)
    assert (weight.why, weight.levels, weight.missing) == ("the rows' weights", ROWS, 0.0)
    (line,) = (k for k in text_of("t.csv", summary).splitlines() if k.startswith("w "))
    assert line.split()[-1] == "weight"
    assert not any("'w'" in text for text in summary.warnings)


FAULTS: dict[str, tuple[Any, str]] = {
    "empty": (["1", "", *map(str, COUNT[2:])], r"'w' is missing in line 3"),
    "a word": (["1", "NA", *map(str, COUNT[2:])], r"'w' is 'NA' in line 3"),
    "text among numbers": (["1", "2", "many", *map(str, COUNT[3:])], r"is 'many' in line 4"),
    "two formats": (["1.5", "1,5"] * (ROWS // 2), r"is '1.5' in line 2; .* written alike"),
    "infinite": (["1", "inf", *map(str, COUNT[2:])], r"is 'inf' in line 3"),
    "negative": (["1,5", "-2,5", *[f"{k},5" for k in COUNT[2:]]], r"is -2.5 in line 3"),
    "nothing": (["0 %"] * ROWS, r"every weight is 0"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_with_its_place(name: str, tmp_path: Path) -> None:
    """It names the column, the cell and its line."""
    cells, message = FAULTS[name]
    with pytest.raises(RequestError, match=message) as caught:
        loaded(tmp_path, cells)
    assert "\n" not in str(caught.value)


def test_the_verb_takes_the_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`data --weight` shows the column as weight."""
    loaded(tmp_path, COUNT + 1)
    assert run(["data", str(tmp_path / "t.csv"), "--target", "y", "--weight", "w", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {c["name"]: c["why"] for c in shown["columns"]}["w"] == "the rows' weights"
    assert shown["features"] == 1
