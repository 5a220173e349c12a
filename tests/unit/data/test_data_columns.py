"""Each column gets one decision, which a user can overrule, and which the exported code repeats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainstack.search.data.dataset import Dataset
from trainstack.search.data.generated_code import python_lines
from trainstack.search.data.load import load
from trainstack.search.data.model_description import ModelDescription
from trainstack.search.data.new_tables import NewTable
from trainstack.search.data.overrules import Overrules
from trainstack.search.data.shared_arrays import packed, unpacked
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError

ROWS = 120
RNG = np.random.default_rng(0)
X = RNG.normal(size=ROWS).round(4)
Y = np.arange(ROWS) % 2
COUNT = np.arange(ROWS)
NAN = float("nan")
SENTENCES = [f"the {k}th guest wrote that the room was {k % 7} out of seven" for k in COUNT]


def loaded(folder: Path, ending: str = "csv", overrules: Overrules | None = None, **columns: Any):
    """Load a table with these columns, a measurement and the target."""
    frame = pd.DataFrame({**columns, "x": X, "y": Y})
    path = folder / f"t.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    return load(str(path), "y", "auto", overrules or Overrules())


def described(data: Dataset) -> dict[str, Any]:
    """Return the decisions by the column's name."""
    return {column.name: column for column in data.described}


def same_everywhere(data: Dataset) -> None:
    """Check that the generated code and the shared copy have the same features."""
    scope: dict[str, Any] = {"seed": 3}
    exec("\n".join(python_lines(data)), scope)
    copy = unpacked(packed(data), data.source, data.target, "")
    assert copy.origins == data.origins
    ours, theirs = data.split(3), copy.split(3)
    for part in ("x_train", "x_test"):
        np.testing.assert_array_equal(scope[part], getattr(ours, part))
        np.testing.assert_array_equal(getattr(theirs, part), getattr(ours, part))


# Cells → the kind, whether it is used, and the share that is missing.
KINDS: dict[str, tuple[Any, str, bool, float]] = {
    "measurement": (X * 2, "number", True, 0),
    "thousands": ([f"{1000 + 7 * k:,}" for k in COUNT % 50], "number", True, 0),
    "decimal comma": ([f"{k},5" for k in COUNT % 50], "number", True, 0),
    "per cent": ([f"{k}%" for k in COUNT % 50], "number", True, 0),
    "money": ([f"${k:,}.00" for k in 999 + COUNT % 50], "number", True, 0),
    "gaps": (["?", "NA", "-", "", *map(str, COUNT[4:] % 50 + 0.5)], "number", True, 4 / ROWS),
    "zeros and ones": (COUNT // 3 % 2, "boolean", True, 0),
    "yes and no": (["Yes", "no", "n/a"] * (ROWS // 3), "boolean", True, 1 / 3),
    "t and f": (["t", "f"] * (ROWS // 2), "boolean", True, 0),
    "switches": (["ON", "off"] * (ROWS // 2), "boolean", True, 0),
    "colours": (["red", "green", "?", "blue"] * (ROWS // 4), "category", True, 1 / 4),
    "word None": (["None", "brick", "stone"] * (ROWS // 3), "category", True, 0),
    "towns": ([f"town {k // 2}" for k in COUNT], "category", True, 0),
    "dates": ([f"2024-{1 + k % 12:02d}-01" for k in COUNT], "date", True, 0),
    "row numbers": (COUNT + 1, "identifier", False, 0),
    "names": ([f"guest {k}" for k in COUNT], "identifier", False, 0),
    "names, one twice": ([f"guest {max(k, 1)}" for k in COUNT], "identifier", False, 0),
    "customer_id": (RNG.permutation(10**6)[np.maximum(COUNT, 1)], "identifier", False, 0),
    "zipcode": ([98000 + k % 30 for k in COUNT], "category", True, 0),
    "review": (SENTENCES, "text", False, 0),
    "seldom": ([f"s{k % 70}" for k in COUNT], "text", False, 0),
    "one value": (["nl"] * ROWS, "category", False, 0),
    "no value": ([""] * ROWS, "category", False, 1),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_column_is_what_it_is(name: str, tmp_path: Path) -> None:
    """Kind, use and share of missing values are those of the cells; the reason is in words."""
    cells, kind, used, missing = KINDS[name]
    data = loaded(tmp_path, **{name: cells})
    column = described(data)[name]
    assert (column.kind, column.used) == (kind, used)
    assert column.missing == pytest.approx(missing)
    assert column.why
    assert (name in data.columns) == used
    same_everywhere(data)


@pytest.mark.parametrize("name", ["zipcode", "customer_id", "zeros and ones", "gaps"])
def test_parquet_has_the_kinds_of_csv(name: str, tmp_path: Path) -> None:
    """Typed columns get the same kind as their texts."""
    cells, kind, used, missing = KINDS[name]
    cells = [NAN if v in ("?", "NA", "-", "") else float(v) for v in cells]
    data = loaded(tmp_path, "parquet", **{name: cells})
    column = described(data)[name]
    assert (column.kind, column.used, column.missing) == (kind, used, pytest.approx(missing))
    same_everywhere(data)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_date_becomes_days_and_parts_of_the_calendar(ending: str, tmp_path: Path) -> None:
    """Days since the first date, and the parts that vary, as pandas computes them; gaps stay."""
    moments = pd.Series(pd.Timestamp("2023-03-05") + pd.to_timedelta(COUNT * 173, "h"))
    moments[5] = pd.NaT
    data = loaded(tmp_path, ending, when=moments, **{"when month": COUNT % 5 + 0.5})
    parts = moments.dt
    expected = {
        "when": (moments - pd.Timestamp("2023-03-05")) / pd.Timedelta("1D"),
        "when year": parts.year,
        "when month_": parts.month,
        "when day": parts.day,
        "when weekday": parts.day_of_week,
        "when hour": parts.hour,
    }
    assert data.numeric == (*expected, "when month", "x")
    for name, values in expected.items():
        np.testing.assert_allclose(data.x[name], values)
    assert set(data.origins.values()) == {"when"}
    assert described(data)["when"].missing == 1 / ROWS
    same_everywhere(data)


def test_what_does_not_vary_is_no_part(tmp_path: Path) -> None:
    """Dates of one month and without times have neither year, month nor hour."""
    data = loaded(tmp_path, when=[f"{1 + k % 28:02d}.06.2024" for k in COUNT])
    assert data.numeric == ("when", "when day", "when weekday", "x")


# Cells, the flag, and the numbers or labels that it gives.
FORCED: dict[str, tuple[Any, str, list[Any]]] = {
    "a typing error": (["12O", *map(str, COUNT[1:])], "numeric", [NAN, *COUNT[1:]]),
    "codes": ([f"{k % 9:03d}" for k in COUNT], "numeric", [*(COUNT % 9)]),
    "grades": ([["1", "2", "3", "4", "A"][k % 5] for k in COUNT], "numeric", [1, 2, 3, 4, NAN]),
    "row numbers": (COUNT + 7, "numeric", [*(COUNT + 7)]),
    "number of a class": (COUNT % 3, "categorical", ["0", "1", "2"]),
    "dates as words": (["2024-01-01", "2024-01-02"] * (ROWS // 2), "categorical", ["2024-01-01"]),
    "whole dates": (["20240131", "20240202"] * (ROWS // 2), "date", [0, 2]),
    "late": (["2024-01-01", "2024-01-04", "soon"] * (ROWS // 3), "date", [0, 3, NAN]),
    "years": ([2001 + k % 4 for k in COUNT], "date", [0, 365]),
}


@pytest.mark.parametrize("name", FORCED)
def test_a_flag_decides_the_kind(name: str, tmp_path: Path) -> None:
    """--numeric, --categorical and --date read the cells so; what is not of the kind is missing."""
    cells, flag, expected = FORCED[name]
    data = loaded(tmp_path, overrules=Overrules(**{flag: (name,)}), **{name: cells})
    kinds = {"numeric": "number", "categorical": "category", "date": "date"}
    column = described(data)[name]
    assert (column.kind, column.used) == (kinds[flag], True)
    np.testing.assert_array_equal(data.x[name][: len(expected)].to_numpy(), expected)
    same_everywhere(data)


def test_typed_numbers_as_categories(tmp_path: Path) -> None:
    """Whole numbers of a Parquet column with a gap are written without decimals."""
    cells = [NAN, *(COUNT[1:] % 3.0)]
    data = loaded(tmp_path, "parquet", Overrules(categorical=("f",)), f=cells)
    assert sorted(set(data.x["f"])) == ["(missing)", "0", "1", "2"]
    same_everywhere(data)


def test_left_out_columns_can_be_kept_and_others_dropped(tmp_path: Path) -> None:
    """--keep uses what would be left out, --drop leaves out even what cannot be read."""
    names = ("row numbers", "review", "one value")
    cells = {name: KINDS[name][0] for name in names}
    cells["slip"] = ["12O", *map(str, COUNT[1:])]
    data = loaded(tmp_path, overrules=Overrules(drop=("slip",), keep=names), **cells)
    kept = described(data)
    assert all(kept[name].used for name in names)
    assert (kept["slip"].used, kept["slip"].why) == (False, "--drop")
    same_everywhere(data)


def test_names_are_separated_by_commas_unless_they_hold_one(tmp_path: Path) -> None:
    """`a,b` names two columns; a column of that name is named whole, or in quotes in a list."""
    one = loaded(tmp_path, overrules=Overrules(drop=("b, a",)), a=X + 1, b=X - 1)
    two = loaded(tmp_path, overrules=Overrules(drop=("a", "b")), a=X + 1, b=X - 1)
    assert one.overrules == two.overrules == Overrules(drop=("a", "b"))
    odd = loaded(tmp_path, overrules=Overrules(drop=("a,b",)), **{"a,b": X + 1, "a": X - 1})
    assert odd.columns == ("a", "x")
    quoted = loaded(tmp_path, overrules=Overrules(drop=('"a,b",a',)), **{"a,b": X + 1, "a": X - 1})
    assert quoted.columns == ("x",)


# Flags → words of the one line that refuses them.
REFUSED: dict[str, tuple[dict[str, tuple[str, ...]], str]] = {
    "unknown": ({"drop": ("colur",)}, "no column 'colur'; expected a column for --drop; did you"),
    "twice": ({"keep": ("x,x",)}, "--keep names 'x' twice"),
    "dropped and kept": ({"drop": ("x",), "keep": ("x",)}, "--drop and --keep both name 'x'"),
    "two kinds": ({"numeric": ("x",), "date": ("x",)}, "--numeric and --date both name 'x'"),
    "dropped and read": ({"drop": ("x",), "date": ("x",)}, "--drop and --date both name 'x'"),
    "target": ({"drop": ("y",)}, "--drop names the target 'y'"),
    "nothing left": ({"drop": ("x", "colour")}, "no usable column beside 'y'"),
    "no numbers": ({"numeric": ("colour",)}, "--numeric names 'colour', which holds text such as"),
    "no dates": ({"date": ("colour",)}, "--date names 'colour', which holds text such as 'green'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_flags_that_cannot_be_followed_are_refused(case: str, tmp_path: Path) -> None:
    """Each is one line that names the flag and the column."""
    flags, words = REFUSED[case]
    with pytest.raises(RequestError) as caught:
        loaded(tmp_path, overrules=Overrules(**flags), colour=["red", "green"] * (ROWS // 2))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_data_without_columns_takes_no_flags() -> None:
    """A flag about columns for a named data set is refused."""
    with pytest.raises(RequestError, match="--drop x for digits; expected no --drop"):
        load("digits", overrules=Overrules(drop=("x",)))


def test_a_study_pins_the_flags(tmp_path: Path) -> None:
    """The spec keeps them through JSON, and another launch differs in one line that names both."""
    specs = []
    for flags in ({"drop": ("a",)}, {"categorical": ("b",), "drop": ("a",)}, {}):
        data = loaded(tmp_path, overrules=Overrules(**flags), a=X + 1, b=COUNT % 4)
        specs.append(StudySpec("s", data.describe(), {}))
        again = StudySpec.from_json(specs[-1].to_json())
        assert again == specs[-1]
        assert Overrules.from_json(again.data.overrules) == Overrules(**flags)
    assert len({spec.data.fingerprint for spec in specs}) == 3
    assert specs[0].differences(specs[1]) == [
        "columns are read with --drop a here, with --categorical b --drop a asked"
    ]
    assert specs[2].differences(specs[0]) == [
        "columns are read with no flags here, with --drop a asked"
    ]


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]


@pytest.mark.parametrize("delimiter", ",;\t|")
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_and_delimiters_are_detected(
    encoding: str, delimiter: str, tmp_path: Path
) -> None:
    """Names and cells are the same in every encoding, with or without a byte-order mark."""
    frame = pd.DataFrame({"größe": X, "stadt": ["Köln", "Genf"] * (ROWS // 2), "y": Y})
    text = frame.to_csv(index=False, sep=delimiter)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    data = load(str(tmp_path / "t.csv"), "y")
    assert data.columns == ("größe", "stadt")
    assert set(data.x["stadt"]) == {"Köln", "Genf"}
    assert [note for note in data.warnings if "not UTF-8" in note] == (
        ["t.csv is not UTF-8: its text is read as Western European (Windows-1252)."]
        if encoding == "cp1252"
        else []
    )
    same_everywhere(data)


@pytest.mark.parametrize("ending", ["tsv", "txt", "TSV"])
def test_a_table_of_tabs_is_read_by_another_name(ending: str, tmp_path: Path) -> None:
    """Files named .tsv or .txt are read as .csv is, for training and for new rows."""
    frame = pd.DataFrame({"a": X, "town": ["Köln", "Genf"] * (ROWS // 2), "y": Y})
    path = tmp_path / f"t.{ending}"
    frame.to_csv(path, index=False, sep="\t")
    data = load(str(path), "y")
    assert data.columns == ("a", "town")
    same_everywhere(data)
    model = ModelDescription.of(data, "s", "", {}, None)
    (chunk,) = NewTable(path, model).chunks()
    assert chunk.cells["town"].tolist() == frame["town"].tolist()


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    """Another delimiter and other names under the same path are found by the next load."""
    frame = pd.DataFrame({"a": X, "y": Y})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert load(str(tmp_path / "t.csv"), "y").columns == ("a",)
    frame.rename(columns={"a": "other"}).to_csv(tmp_path / "t.csv", index=False, sep=";")
    assert load(str(tmp_path / "t.csv"), "y").columns == ("other",)
