"""Values of tables are read correctly, or refused."""

from __future__ import annotations

import csv
import io
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainstack.search.cli.study_options import study_name
from trainstack.search.data.csv_layout import read_csv
from trainstack.search.data.generated_code import python_lines
from trainstack.search.data.load import load
from trainstack.search.data.part import Part
from trainstack.search.data.spelling import Spelling, decide
from trainstack.search.data.splitting import make_split
from trainstack.search.data.text_values import to_numbers
from trainstack.spaces.errors import RequestError

NAN = float("nan")
ROWS = 60

# Texts → their numbers.
SPELT = {
    "question mark": (["1", "?", "2.5"], [1, NAN, 2.5]),
    "words": (["1", "NA", "None", "", "-"], [1, NAN, NAN, NAN, NAN]),
    "thousands": (["1,000", "12", "1,234,567.5"], [1000, 12, 1234567.5]),
    "decimal comma": (["0,3", "12", "7,25"], [0.3, 12, 7.25]),
    "comma after zero": (["0,123", "1,500"], [0.123, 1.5]),
    "points and comma": (["1.304,50", "2"], [1304.5, 2]),
    "spaces": (["1 304 448", "20"], [1304448, 20]),
    "percent": (["12%", "3.5 %"], [12, 3.5]),
    "power": (["1e3", "-.5"], [1000, -0.5]),
    "truth": (["True", "false", ""], [1, 0, NAN]),
    "yes and no": (["YES", "no", "?"], [1, 0, NAN]),
    "initials": (["t", "F", "n/a"], [1, 0, NAN]),
    "y and n": (["y", "n"], [1, 0]),
    "switches": (["on", "off", "-"], [1, 0, NAN]),
    "dollars": (["$1,200.50", "-$3", "$ 7"], [1200.5, -3, 7]),
    "euros": (["1.200,50 €", "3 €"], [1200.5, 3]),
    "francs": (["CHF 12.50", "CHF 1'200"], [12.5, 1200]),
    "clock": (["01/31/2024 12:30 AM", "01/31/2024 06:00 PM"], [0.5 / 24, 0.75]),
    "days": (["2024-01-03", "2024-01-01", "?"], [2, 0, NAN]),
    "moments": (["2024-01-01 12:00:00", "2024-01-02T00:00:00Z"], [0.5, 1]),
    "german days": (["31.12.2023", "01.01.2024"], [0, 1]),
    "american days": (["12/31/2023", "01/01/2024"], [0, 1]),
}


@pytest.mark.parametrize("case", SPELT)
def test_texts_become_the_numbers_that_they_spell(case: str) -> None:
    """A spelling gives the numbers, and survives being stored."""
    texts, numbers = SPELT[case]
    spelling = decide(texts)
    assert Spelling.from_json(spelling.to_json()) == spelling
    np.testing.assert_array_equal(to_numbers(texts, **spelling.arguments()), numbers)


@pytest.mark.parametrize(
    "texts",
    [
        *(["a", "1"], ["01", "02", "1A"], ["007", "12"], ["1_000"], ["12%", "1"], ["", ""]),
        *(["yes", "n"], ["t", "f", "u"], ["yes"], ["$5", "€5"], ["1$2"], ["$5", "5"]),
    ],
)
def test_other_texts_are_categories(texts: list[str]) -> None:
    """Codes, and numbers among other texts, are categories."""
    assert decide(texts).kind == "category"


def _load(folder: Path, target: str = "y", ending: str = "csv", **columns: object):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=ROWS), "y": np.arange(ROWS) % 2, **columns})
    path = folder / f"t.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return load(str(path), target=target)


def _same_code(dataset) -> None:
    scope: dict = {"seed": 3}
    exec("\n".join(python_lines(dataset)), scope)
    np.testing.assert_array_equal(scope["x_test"], dataset.split(3).x_test)
    np.testing.assert_array_equal(scope["y_train"], dataset.split(3).y_train)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_numbers_as_text_are_features(ending: str, tmp_path: Path) -> None:
    """Numbers, shares and dates become numeric features, and a note lists the missing marks."""
    numbers = np.arange(ROWS) % 7
    data = _load(
        tmp_path,
        ending=ending,
        power=["?", *map(str, numbers[1:])],
        weight=[f"{v + 1000:,}" for v in numbers],
        share=[f"{v}%" for v in numbers],
        when=pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(numbers, "D")).astype(str),
    )
    dates = ("when", "when day", "when weekday")
    assert data.numeric == ("x", "power", "weight", "share", *dates)
    for name, values in (("weight", numbers + 1000), ("share", numbers), ("when", numbers)):
        np.testing.assert_array_equal(data.x[name], values)
    assert any("'power' '?' (1)" in note for note in data.notes)
    assert any("days since 2024-01-01" in note for note in data.notes)
    _same_code(data)


def test_dates_of_parquet_are_days(tmp_path: Path) -> None:
    """A date column becomes days since its earliest date."""
    days = pd.Timestamp("2024-02-01") + pd.to_timedelta(np.arange(ROWS) // 2, "D")
    data = _load(tmp_path, ending="parquet", when=days)
    np.testing.assert_array_equal(data.x["when"], np.arange(ROWS) // 2)
    _same_code(data)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_beside_texts_only_an_empty_cell_of_a_target_is_missing(
    ending: str, tmp_path: Path
) -> None:
    """None and NA are classes; a row with an empty target is left out."""
    kinds: list[str | None] = [["None", "NA", "some"][k % 3] for k in range(ROWS)]
    kinds[5] = None if ending == "parquet" else ""
    data = _load(tmp_path, ending=ending, y=kinds)
    assert data.classes == ("NA", "None", "some")
    assert data.rows == ROWS - 1
    _same_code(data)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("codes", [False, True], ids=["quantity", "classes"])
def test_beside_numbers_words_of_a_target_are_missing(
    codes: bool, ending: str, tmp_path: Path
) -> None:
    """Rows with NA or ? are left out, and the numbers are a quantity or classes as without them."""
    numbers = [str(k % 2) if codes else f"{k / 8}" for k in range(ROWS)]
    data = _load(tmp_path, ending=ending, y=["NA", "?", "", *numbers[3:]])
    assert data.rows == ROWS - 3
    assert data.classes == (("0", "1") if codes else ())
    assert data.warnings[:2] == (
        "The target 'y' is missing where it is '?' or 'NA'.",
        "3 row(s) without a value of 'y' are left out.",
    )
    _same_code(data)


def test_blanks_around_a_class_are_taken_off_with_a_note(tmp_path: Path) -> None:
    """'yes ' and 'yes' are one class, with a note."""
    data = _load(tmp_path, y=["yes ", "no", "yes", "no"] * (ROWS // 4))
    assert data.classes == ("no", "yes")
    assert "'yes '" in data.notes[0]
    _same_code(data)


def test_thousands_in_a_target_are_a_quantity(tmp_path: Path) -> None:
    """A target such as 1,304,448 is read as its number."""
    data = _load(tmp_path, y=[f"{1_304_448 + 7919 * k:,}" for k in range(ROWS)])
    assert data.task == "regression"
    assert data.y[0] == 1_304_448
    _same_code(data)


def test_decimal_commas_of_one_column_tell_how_others_are_read(tmp_path: Path) -> None:
    """Beside 0,5 the text 1.234 is a thousand, which alone it is not; 1,234 is one in both."""
    numbers = 1000 + 7 * (np.arange(ROWS) ** 2)
    points = [f"{v:,}".replace(",", ".") for v in numbers]
    commas = [f"{v:,}" for v in numbers]
    half = [f"{v / 2}".replace(".", ",") for v in range(ROWS)]
    data = _load(tmp_path, half=half, points=points, commas=commas, y=points)
    np.testing.assert_array_equal(data.x["points"], numbers)
    np.testing.assert_array_equal(data.x["commas"], numbers)
    np.testing.assert_array_equal(data.y, numbers)
    _same_code(data)
    alone = _load(tmp_path, points=points, commas=commas)
    np.testing.assert_array_equal(alone.x["points"], numbers / 1000)
    np.testing.assert_array_equal(alone.x["commas"], numbers)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_long_labels_stay_exact(ending: str, tmp_path: Path) -> None:
    """Labels that differ in the last of 17 digits are two classes."""
    data = _load(tmp_path, ending=ending, y=10**16 + np.arange(ROWS) % 2)
    assert data.classes == ("10000000000000000", "10000000000000001")
    _same_code(data)


@pytest.mark.parametrize("shuffled", [False, True])
def test_identifiers_are_left_out_and_measurements_stay(shuffled: bool, tmp_path: Path) -> None:
    """Row numbers and unique texts are left out with a note; unique floats stay."""
    rows = np.arange(1, ROWS + 1)
    if shuffled:
        rows = np.random.default_rng(1).permutation(rows)
    named = [f"n{row}" for row in rows]
    data = _load(tmp_path, Id=rows, name=named, m=rows + 0.5, r=rows // 2, far=rows**2)
    assert data.columns == ("x", "m", "r", "far")
    assert "'Id', 'name'" in data.warnings[0]


def test_digits_stored_as_text(tmp_path: Path) -> None:
    """In Parquet, unique digits are left out, and recurring postcodes are categories."""
    unique = [f"{k:05d}" for k in range(ROWS)]
    data = _load(tmp_path, ending="parquet", zip=unique, post=[f"9810{k % 5}" for k in range(ROWS)])
    assert (data.numeric, data.text) == (("x",), ("post",))
    _same_code(data)


def test_trailing_delimiters_shift_no_column(tmp_path: Path) -> None:
    """In rows that end in a comma every value keeps its column."""
    rows = "".join(f"{k % 2},{k % 7 + 0.5},{k % 5 + 0.25},\n" for k in range(ROWS))
    (tmp_path / "t.csv").write_text("y,a,b\n" + rows)
    data = load(str(tmp_path / "t.csv"), target="y")
    np.testing.assert_array_equal(data.x["a"], np.arange(ROWS) % 7 + 0.5)
    np.testing.assert_array_equal(data.x["b"], np.arange(ROWS) % 5 + 0.25)
    assert data.classes == ("0", "1")
    _same_code(data)


def test_a_bad_value_is_named_by_its_line(tmp_path: Path) -> None:
    """The reported line counts blank lines and line breaks within cells."""
    lines = ['"a\nb",v,y', "", 'k,"1",0', '"k\nl",inf,1', *(f"k,{k}.5,{k % 2}" for k in range(40))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    with pytest.raises(RequestError, match="in line 5"):
        load(str(tmp_path / "t.csv"), target="y")


@pytest.mark.parametrize("target", ["price\n(EUR)", "price (EUR)", "price\\n(EUR)"])
def test_a_line_break_in_a_name(target: str, tmp_path: Path) -> None:
    """The target is found by its name, and by the name shown in an error."""
    frame = pd.DataFrame({"a": np.arange(40) ** 2, "price\n(EUR)": np.arange(40) * 2.5})
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = load(str(tmp_path / "t.csv"), target=target)
    assert data.target == "price\n(EUR)"
    _same_code(data)


def test_a_large_offset_loses_no_digit(tmp_path: Path) -> None:
    """A feature and a target near 1.7e9 keep all values when standardised."""
    values = 1.7e9 + np.random.default_rng(0).uniform(0, 60, 400)
    np.savez(tmp_path / "a.npz", x_train=values[:, None], y_train=values)
    standard = load(str(tmp_path / "a.npz")).split(0).prepared()
    assert len(np.unique(standard.x_train)) == len(np.unique(standard.y_train)) == 256
    assert abs(standard.x_train.mean()) < 1e-6
    assert abs(standard.y_train.std() - 1) < 1e-6


def test_float_labels_and_halves_of_an_archive(tmp_path: Path) -> None:
    """Labels 0. and 1. are classes, and float16 raises no warning."""
    x = np.random.default_rng(0).normal(size=(ROWS, 2)).astype("float16")
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.arange(ROWS) % 2 * 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(str(tmp_path / "a.npz"))
    assert data.classes == ("0", "1")
    assert data.x.dtype == np.float32
    assert load(str(tmp_path / "a.npz"), task="regression").task == "regression"


def test_changed_data_is_described(tmp_path: Path) -> None:
    """Changed rows, features, classes or values are named, without a fingerprint."""
    study = _load(tmp_path).describe()
    values = _load(tmp_path, x=np.arange(ROWS) * 0.5).describe()
    wider = _load(tmp_path, z=np.arange(ROWS) * 0.5).describe()
    fewer = replace(study, rows=40)
    assert study.changed(fewer) == f"the data here has 40 rows, the study's had {ROWS}"
    assert study.changed(wider) == "the data here has 2 features, the study's had 1"
    assert study.changed(values) == "the data here has other values than the study's"


@pytest.mark.parametrize(
    ("file", "name"),
    [("train (1).csv", "train 1"), ("Übung #3, final.csv", "Übung 3 final"), ("-a.csv", "a")],
)
def test_any_file_name_makes_a_study_name(file: str, name: str) -> None:
    """Characters that are invalid in a study's name are removed."""
    assert study_name(None, f"folder/{file}") == name
    assert study_name(None, "digits") == "digits"


@pytest.mark.parametrize("name", ["", "a/b", " a", "-a", "--json", "model.keras", "..", "a" * 101])
def test_a_name_that_other_verbs_cannot_take_is_refused(name: str) -> None:
    """A study is not named like a path, a flag or the file of a model."""
    with pytest.raises(RequestError, match="study name"):
        study_name(name, "digits")


CELLS = st.text(st.sampled_from("ab1 .,;|\t\"'\n\r"), max_size=6)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    trailing=st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_any_csv_is_read_as_it_was_or_refused(
    tmp_path_factory, rows, delimiter, ending, quoting, trailing
) -> None:
    """With any delimiter, line ending, quoting and trailing fields: the cells, or an error."""
    if quoting == csv.QUOTE_MINIMAL:  # Python's writer does not quote the other line ending
        rows = [tuple(c.replace("\r", " ").replace("\n", " ") for c in row) for row in rows]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ending, quoting=quoting)
    writer.writerow(["one", "two", "three"])
    writer.writerows([*row, *[""] * trailing] for row in rows)
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(text.getvalue().encode())
    try:
        frame = read_csv(path)
    except RequestError:
        return
    assert list(frame.columns) == ["one", "two", "three"]
    assert [tuple(row) for row in frame.to_numpy(object)] == rows


@given(offset=st.floats(-1e9, 1e9), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_constant_added_to_a_feature_changes_no_input(offset: float, seed: int) -> None:
    """The standardised inputs are equal except for the rounding of the sum itself."""
    x = np.random.default_rng(seed).normal(size=(90, 2))
    y = np.arange(90) % 2

    def standardised(shift: float) -> np.ndarray:
        part = Part(x + shift, y)
        parts = (part, part, part)
        split = make_split(*parts, task="classification", columns=("a", "b"), vocabulary={})
        return split.prepared().x_train

    np.testing.assert_allclose(standardised(offset), standardised(0.0), atol=2e-6)
