"""New rows are read in the formats of training, some at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainstack.search.data.csv_layout import csv_chunks, read_csv
from trainstack.search.data.known_targets import known_targets
from trainstack.search.data.model_description import ModelDescription
from trainstack.search.data.new_tables import NewTable
from trainstack.search.data.new_values import Unusual, categories, cells_of, inputs_of, numbers
from trainstack.search.data.predicted_columns import predicted_columns
from trainstack.search.data.spelling import Spelling
from trainstack.search.metrics.conformal import Residuals
from trainstack.spaces.errors import RequestError

PLAIN = Spelling("number")
DATES = Spelling("date", date_format="iso", origin="2020-01-31T00:00:00")
DAYS_FIRST = replace(DATES, date_format="%d.%m.%y")
TIMES = Spelling("date", date_format="%H:%M", origin="1900-01-01T00:00:00")


def described(**changed: Any) -> ModelDescription:
    """A model of a number, a percentage, a word and a category."""
    usual = {
        "numeric": ("x", "share", "open"),
        "text": ("town",),
        "spellings": {
            "share": Spelling("number", percent=True),
            "open": Spelling("truth", true="yes", false="no"),
            "town": Spelling(missing=("?",)),
        },
        "levels": {"town": ("(missing)", "7", "Ede")},
        "gaps": ("share",),
        "classes": ("a", "b"),
    }
    return ModelDescription("s", "classification", "y", **{**usual, **changed})


@given(
    values=st.lists(
        st.floats(-1e30, 1e30) | st.none() | st.integers(-(10**9), 10**9), min_size=1, max_size=20
    ),
    form=st.sampled_from(["texts", "objects", "floats"]),
)
@settings(deadline=None)
def test_numbers_are_read_alike_in_every_form(values: list[Any], form: str) -> None:
    """Texts of a CSV, JSON's values and Parquet's column give the same numbers."""
    expected = np.array([np.nan if v is None else float(v) for v in values])
    cells = {
        "texts": pd.Series(["" if v is None else repr(v) for v in values], dtype="str"),
        "objects": pd.Series(values, dtype=object),
        "floats": pd.Series(expected),
    }[form]
    np.testing.assert_array_equal(numbers(cells, PLAIN, "x", str), expected)


@pytest.mark.parametrize("text", ["1_000", "nan", "0x10", "blue", "1,5", "١"])
def test_what_only_looks_like_a_number_is_refused(text: str) -> None:
    """Texts that Python or pandas would read, but training would not, are named with their row."""
    cells = pd.Series(["1", "2", text], dtype="str")
    with pytest.raises(RequestError, match="row 2, column x: "):
        numbers(cells, PLAIN, "column x", "row {}".format)


@pytest.mark.parametrize("kind", [object, float])
def test_numbers_other_than_0_and_1_are_no_truth_values(kind: type) -> None:
    """They are named with their row, whether their column has numbers or objects."""
    cells = pd.Series([1, 0, None, 2], dtype=kind)
    with pytest.raises(RequestError, match="row 3, column x: 2 is neither true nor false"):
        numbers(cells, described().spellings["open"], "column x", "row {}".format)


@pytest.mark.parametrize(("text", "hint"), [("NA", True), ("?", True), ("blue", False)])
def test_a_word_for_a_missing_value_is_refused_with_a_hint(text: str, hint: bool) -> None:
    """The line says what to do with a cell that has no value, where training had none."""
    with pytest.raises(RequestError) as caught:
        numbers(pd.Series([text], dtype="str"), PLAIN, "column x", "row {}".format)
    assert ("empty the cell" in str(caught.value)) == hint


@pytest.mark.parametrize(
    ("how", "example"),
    [(DATES, "such as 2020-01-31"), (DAYS_FIRST, "such as 31.01.20"), (TIMES, "time such as")],
)
def test_a_text_that_is_no_date_is_named_with_an_example(how: Spelling, example: str) -> None:
    """The line has the text, its place, and a date as training had them."""
    cells = pd.Series(["30/02/2021"], dtype="str")
    with pytest.raises(RequestError, match=f"row 0, column x: '30/02/2021' is no date.*{example}"):
        numbers(cells, how, "column x", "row {}".format)


def test_categories_are_texts_of_training() -> None:
    """Blanks go, whole numbers lose their point, and words for missing values are empty."""
    cells = pd.Series([" Ede", 7.0, 7, "?", None, True], dtype=object)
    codes, texts = categories(cells, Spelling(missing=("?",)))
    assert texts[codes].tolist() == ["Ede", "7", "7", "", "", "True"]


def test_inputs_count_what_training_did_not_know() -> None:
    """Gaps where training had none and unknown categories are counted; others are not."""
    rows = [
        {"x": None, "share": "12%", "open": "Yes", "town": "Ede"},
        {"x": 2, "share": None, "open": "no", "town": "Bonn"},
        {"x": "3", "share": 12, "open": None, "town": 7},
    ]
    unusual, model = Unusual(), described()
    found = inputs_of(cells_of(rows, model), model, "row {}".format, unusual)
    np.testing.assert_array_equal(found["x"], [np.nan, 2.0, 3.0])
    np.testing.assert_array_equal(found["share"], [12.0, np.nan, 12.0])
    assert found["open"].tolist() == ["yes", "no", ""]
    assert found["town"].tolist() == ["Ede", "Bonn", "7"]
    assert unusual.notes() == [
        "Column 'x': the median fills 1 gap(s); training had none.",
        "Column 'open': the median fills 1 gap(s); training had none.",
        "Column 'town': 1 value(s) unknown in training, such as 'Bonn'.",
    ]


@pytest.mark.parametrize("most", [1, 3, 100])
def test_chunks_are_the_file(most: int, tmp_path: Path) -> None:
    """The chunks of a CSV file are the rows that training reads, in their order."""
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,"x, y"\n\n2,\n3,"two\nlines"\n4,z\n', "utf-8")
    chunks = [*csv_chunks(path, most)]
    assert max(map(len, chunks)) <= most
    pd.testing.assert_frame_equal(pd.concat(chunks), read_csv(path))


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    """Blanks in names do not matter; columns that training left out are no surprise."""
    path = tmp_path / "t.csv"
    path.write_text("town,id,x,share,open,extra\nEde,1,2,3%,yes,0\n", "utf-8")
    table = NewTable(path, described(left_out=("id", "y")))
    table.check(evaluate=False)
    assert table.notes() == ["Column(s) 'extra' are ignored: training had none."]
    (chunk,) = table.chunks()
    assert {*chunk.cells} == {"town", "x", "share", "open"}
    with pytest.raises(RequestError, match=r"t.csv lacks the column\(s\) 'y'"):
        table.check(evaluate=True)
    assert table.place(0)(0) == "line 2 of t.csv"


def test_the_index_of_a_parquet_file_is_no_column(tmp_path: Path) -> None:
    """It is kept beside the rows, without a note that a column is ignored."""
    rows = pd.DataFrame({"town": ["Ede"], "x": [1.0], "share": ["3%"], "open": ["yes"]})
    rows.index = pd.Index(["r1"], name="row")
    rows.to_parquet(tmp_path / "t.parquet")
    table = NewTable(tmp_path / "t.parquet", described())
    assert table.notes() == []
    (chunk,) = table.chunks()
    assert chunk.index.tolist() == ["r1"]


@pytest.mark.parametrize("known", [["5%", "10%"], ["unknown", "5%"]])
def test_some_of_the_classes_are_known_targets(known: list[str]) -> None:
    """They are classes of training even if they alone could be numbers."""
    model = described(classes=("10%", "5%", "unknown"))
    y, _ = known_targets(pd.DataFrame({"y": known}), model, str)
    assert [model.classes[k] for k in y] == known


def test_predictions_are_columns() -> None:
    """Classes have a probability each; quantities, with residuals, an interval."""
    found = predicted_columns(np.array([[0.2, 0.8], [0.9, 0.1]]), described())
    assert found["prediction"].tolist() == ["b", "a"]
    assert [*found] == ["prediction", "p_a", "p_b"]
    kinds = {"classes": (), "residuals": Residuals(9, (1, 5, 9), ((1.0, 2.0, 4.0),), True)}
    model = ModelDescription("s", "regression", "y", **kinds)
    found = predicted_columns(np.array([[3.0]]), model, 0.5)
    assert found["low"] == pytest.approx(3 * np.exp(-2))
    assert found["high"] == pytest.approx(3 * np.exp(2))
