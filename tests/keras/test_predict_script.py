"""The script beside an exported table model reads any file like the training file."""

from __future__ import annotations

import csv
import io
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainstack.search.data.load import load
from trainstack.search.data.preparation import precision_of
from trainstack.workers.export.columns import from_columns, levels_of
from trainstack.workers.export.model import in_unit
from trainstack.workers.export.predict_script import predict_script
from trainstack.workers.export.preparation import standardised

pytestmark = pytest.mark.keras
ROWS = 80


def table() -> pd.DataFrame:
    """Columns of every kind and spelling, as the texts of a CSV file."""
    rng = np.random.default_rng(0)
    count = np.arange(ROWS)
    moments = pd.Timestamp("2024-01-01") + pd.to_timedelta(count % 9, "D")
    return pd.DataFrame(
        {
            "code": [["01", "02", "03", "1A"][k % 4] for k in count],
            "sure": [["TRUE", "FALSE", "maybe"][k % 3] for k in count],
            "rank": [["", "1", "2", "A"][k % 4] for k in count],
            "open": [["True", "False"][k % 2] for k in count],
            "power": ["?" if k == 3 else str(40 + k % 50) for k in count],
            "weight": [f"{1500 + 7 * k:,}" for k in count],
            "share": [f"{k % 40}%" for k in count],
            "price\n(EUR)": [f"{v:.2f}".replace(".", ",") for v in rng.uniform(1, 9, ROWS)],
            "when": moments.strftime("%Y-%m-%d"),
            "agreed": [["Yes", "no"][k % 2] for k in count],
            "cost": [f"{1000 + k * k:,}.50 €" for k in count],
            "place": [["Köln", "Genf", "?"][k % 3] for k in count],
            "x": rng.normal(size=ROWS).round(3).astype(str),
            "y": [["yes", "no"][k % 2] for k in count],
        }
    )


class Script:
    """A script in a folder, and the model's part that encodes the columns."""

    def __init__(self, folder: Path, model: Any) -> None:
        self.folder, self.model = folder, model
        self.encoded = self.features(self.write(table()))

    def write(self, frame: pd.DataFrame, ending: str = "csv") -> Path:
        """Write a table beside the script."""
        path = self.folder / f"rows.{ending}"
        if ending == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path)
        return path

    def features(self, path: Path) -> np.ndarray:
        """Return the script's features for a file."""
        names = runpy.run_path(str(self.folder / "model.predict.py"))
        return np.asarray(self.model(names["features"](names["read"](path))))

    def main(self, *arguments: str) -> int:
        """Run the script's command line in this process; return its exit code."""
        names = runpy.run_path(str(self.folder / "model.predict.py"))
        before, sys.argv = sys.argv, ["model.predict.py", *arguments]
        try:
            return names["main"]()
        finally:
            sys.argv = before


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Script:
    """The script of a table whose columns are all used."""
    folder = tmp_path_factory.mktemp("script")
    table().to_csv(folder / "train.csv", index=False)
    dataset = load(str(folder / "train.csv"), "y")
    assert {dataset.origins.get(name, name) for name in dataset.columns} == {*table()} - {"y"}
    assert "when weekday" in dataset.columns
    split = dataset.split(0)
    inputs = keras.Input((split.x_train.shape[1],), dtype="float64")
    model = from_columns(keras.Model(inputs, inputs), dataset, split.encoder)
    text = predict_script(dataset, levels_of(dataset, split.encoder))
    (folder / "model.predict.py").write_text(text, "utf-8")
    return Script(folder, model)


def test_the_script_encodes_the_training_rows_as_training_did(script: Script) -> None:
    """Every row of every part gets the features used in training."""
    split = load(str(script.folder / "train.csv"), "y").split(0)
    rows = np.concatenate([split.x_train, split.x_valid, split.x_test])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, script.encoded))


@given(
    rows=st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    ending=st.sampled_from(["\n", "\r\n"]),
    trailing=st.integers(0, 2),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    columns=st.permutations([*table()]),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_subset_in_any_order_is_encoded_alike(
    script: Script,
    rows: list[int],
    delimiter: str,
    ending: str,
    trailing: int,
    encoding: str,
    columns: list[str],
) -> None:
    """A row's features do not depend on the other rows or on the file's format."""
    frame = table().iloc[rows][columns]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ending)
    writer.writerow(columns)
    writer.writerows([*row, *[""] * trailing] for row in frame.to_numpy())
    path = script.folder / "some.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    np.testing.assert_array_equal(script.features(path), script.encoded[rows])


def kept(**changed: Callable[[pd.Series], Any]) -> pd.DataFrame:
    """The rows without non-numeric codes, some columns with another type."""
    frame = table()
    frame = frame[(frame["code"] != "1A") & (frame["rank"] != "A") & (frame["sure"] != "maybe")]
    return frame.assign(**{name: change(frame[name]) for name, change in changed.items()})


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(
    "frame",
    [
        kept(),
        kept(rank=lambda c: c.replace("", None).astype("float64")),
        kept(open=lambda c: (c == "True").astype(int)),
        kept(open=lambda c: c == "True"),
        kept(when=pd.to_datetime, x=lambda c: c.astype("float64")),
    ],
    ids=["codes", "a gap", "0 and 1", "booleans", "dates"],
)
def test_what_a_file_lacks_changes_no_kind(
    script: Script, frame: pd.DataFrame, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Codes stay codes, without a message, if a file has only numeric ones."""
    if ending == "csv" and frame["rank"].dtype == "float64":
        frame = frame.assign(rank=frame["rank"].map(lambda v: "" if np.isnan(v) else f"{v:.0f}"))
    found = script.features(script.write(frame, ending))
    np.testing.assert_array_equal(found, script.encoded[frame.index])
    assert capsys.readouterr().err == ""


def test_unknown_values_are_counted(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    """Categories and gaps absent from training get one line each, with their number."""
    frame = table().assign(x=["", "", *table()["x"][2:]], code=["9Z"] * 3 + [*table()["code"][3:]])
    assert len(script.features(script.write(frame))) == ROWS
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "'x'" in lines[0]
    assert "2 gap(s)" in lines[0]
    assert "3 value(s) unknown in training, such as '9Z'" in lines[1]


def changed(column: str, row: int, value: str) -> Callable[[], str]:
    """The table with one cell changed, as CSV."""

    def make() -> str:
        frame = table()
        frame.loc[row, column] = value
        return frame.to_csv(index=False)

    return make


# Fault of the file → words of the line; line 13 is row 10: a name has a line break.
FAULTS: dict[str, tuple[Callable[[], str], str]] = {
    "missing column": (lambda: table().drop(columns="share").to_csv(index=False), "'share'"),
    "repeated column": (
        lambda: table().assign(z=1).rename(columns={"z": "x"}).to_csv(index=False),
        "'x', found 2",
    ),
    "question mark": (changed("x", 10, "?"), "line 13, column 'x': '?'"),
    "infinity": (changed("x", 10, "inf"), "line 13, column 'x'"),
    "not a number": (changed("x", 10, "nan"), "'nan'"),
    "another mark": (changed("price\n(EUR)", 10, "1.5"), "column 'price (EUR)': '1.5'"),
    "no percent": (changed("share", 10, "12"), "percent"),
    "another date": (changed("when", 10, "01.02.2024"), "column 'when'"),
    "no rows": (lambda: table().iloc[:0].to_csv(index=False), "no rows"),
    "empty": (lambda: "", "expected one column"),
    "row too long": (lambda: table().to_csv(index=False) + ",".join("1" * 30), "30 cells"),
    "row too short": (lambda: table().to_csv(index=False) + "1,2", "2 cells"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_cannot_be_read_is_one_line(
    fault: str, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 2, and one line names the column and the line in the file."""
    make, words = FAULTS[fault]
    path = script.folder / "fault.csv"
    path.write_text(make(), "utf-8")
    assert script.main(str(path)) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert words in output.err


@pytest.mark.parametrize("arguments", [(), ("no.csv",), ("no.parquet",), ("a", "b"), (".",)])
def test_a_wrong_call_is_one_line(
    arguments: tuple[str, ...], script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    """No argument, two arguments or a missing file give exit code 2 and one line."""
    assert script.main(*arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("offset", [0.0, 1.7e9, -1e12])
def test_an_offset_costs_the_exported_model_no_digits(offset: float, tmp_path: Path) -> None:
    """Features and a target far from zero keep their precision after saving and loading."""
    x = np.random.default_rng(0).uniform(0, 60, (50, 2)) + offset
    mean, scale = x.mean(axis=0), x.std(axis=0)
    inputs = keras.Input((2,), dtype=precision_of(mean, scale))
    near = standardised(inputs, mean, scale)
    model = keras.Model(inputs, [near, in_unit(near, float(mean[0]), float(scale[0]))])
    model.save(tmp_path / "m.keras")
    loaded: Any = keras.models.load_model(tmp_path / "m.keras")
    close, back = (np.asarray(part) for part in loaded(x))
    np.testing.assert_allclose(close, (x - mean) / scale, atol=1e-4)
    expected = (x - mean) / scale * scale[0] + mean[0]
    np.testing.assert_allclose(back - offset, expected - offset, atol=5e-3)
