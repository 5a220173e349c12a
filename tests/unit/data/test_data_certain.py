"""Ambiguities of a table are refused or noted: nothing becomes categories silently."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainstack.search.data.dataset import Dataset
from trainstack.search.data.generated_code import python_lines
from trainstack.search.data.kinds import is_row_number
from trainstack.search.data.load import load
from trainstack.spaces.errors import RequestError

ROWS = 60
X = np.random.default_rng(0).normal(size=ROWS).round(4)
Y = np.arange(ROWS) % 2


def written(folder: Path, text: str, target: str = "y") -> Dataset:
    """Load a CSV of this text."""
    (folder / "t.csv").write_text(text, "utf-8")
    return load(str(folder / "t.csv"), target)


def column(folder: Path, values: Any, name: str = "f") -> Dataset:
    """Load a CSV with this column, a measurement and the target."""
    pd.DataFrame({name: values, "x": X, "y": Y}).to_csv(folder / "t.csv", index=False)
    return load(str(folder / "t.csv"), "y")


def test_delimiters_at_the_end_of_some_rows_are_refused(tmp_path: Path) -> None:
    """A bare comma in a number, hidden by an empty last cell, is refused."""
    rows = [
        f"{y},{'1,500' if k % 3 == 0 else 900},{'' if k % 3 == 0 else k}" for k, y in enumerate(Y)
    ]
    with pytest.raises(RequestError, match=r"line 3 .* 3 cells"):
        written(tmp_path, "y,a,b\n" + "\n".join(rows))


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("0.13,1", False), ("3,8", False), ("0,1", False), ("0,1,2", True), ("2019,2020,2021", True)],
)
def test_numbers_alone_are_names_where_they_count(
    header: str, accepted: bool, tmp_path: Path
) -> None:
    """A first line of numbers is data, unless it has at least three consecutive whole numbers."""
    target = header.rsplit(",", maxsplit=1)[-1]
    width = header.count(",")
    rows = "".join(f"{','.join([str(x)] * width)},{y}\n" for x, y in zip(X, Y, strict=True))
    if accepted:
        assert written(tmp_path, f"{header}\n{rows}", target).rows == ROWS
        return
    with pytest.raises(RequestError, match="first line"):
        written(tmp_path, f"{header}\n{rows}", target)


def test_names_that_differ_in_blanks_are_refused(tmp_path: Path) -> None:
    """Two column names that differ only in blanks are refused."""
    rows = "".join(f"{x},{x},{y}\n" for x, y in zip(X, Y, strict=True))
    with pytest.raises(RequestError, match="2 columns named 'a'"):
        written(tmp_path, "a, a,y\n" + rows)


@pytest.mark.parametrize("other", ["", "g"])
def test_a_column_may_hold_its_own_name(other: str, tmp_path: Path) -> None:
    """If a column of numbers has a name that is none, the first line is no row."""
    assert column(tmp_path, ["f" if k % 3 else other for k in range(ROWS)]).text == ("f",)


def test_texts_that_hold_their_names_have_no_header(tmp_path: Path) -> None:
    """Without a column of numbers, a name among its column's values makes the first line a row,
    unless the other cells of the column are empty."""
    words = [("red", "yes"), ("blue", "no"), ("green", "no")]
    rows = "".join(f"{a},{b}\n" for a, b in (words[k % 3] for k in range(ROWS)))
    with pytest.raises(RequestError, match="first line"):
        written(tmp_path, f"blue,no\n{rows}", "no")
    ticked = "".join(f"{'blue' if k % 3 else ''},{k % 2}a\n" for k in range(ROWS))
    assert written(tmp_path, f"blue,kind\n{ticked}", "kind").rows == ROWS


# Cells → words of the one line that refuses them.
SPOILT = {
    "one slip": (["12O", *(10 + k % 40 for k in range(ROWS - 1))], "mostly numbers.*'12O'"),
    "one slip, all distinct": (["1.2.3", *X[1:]], "mostly numbers.*'1.2.3'"),
    "share without its sign": ([f"{k}%" if k % 9 else k for k in range(ROWS)], "mostly numbers"),
    "two currencies": (["$5", "€6"] * (ROWS // 2), "in one format"),
    "one word": (["soon", *[f"2024-01-{1 + k % 28:02d}" for k in range(ROWS - 1)]], "'soon'"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_numbers_and_dates_with_slips_are_refused(case: str, tmp_path: Path) -> None:
    """They do not become categories, even with few distinct values."""
    values, words = SPOILT[case]
    with pytest.raises(RequestError, match=words):
        column(tmp_path, values)


# Cells → words of the warning; all are categories.
CODES = {
    "grades": ([["1", "2", "A"][k % 3] for k in range(ROWS)], "numbers and text such as 'A'"),
    "diagnoses": ([f"V{k // 4}" if k % 4 == 0 else 400 + k % 25 for k in range(ROWS)], "'V0'"),
    "unit": ([f"{k % 9} kg" for k in range(ROWS)], "marks, such as '0 kg'"),
}


@pytest.mark.parametrize("case", CODES)
def test_numbers_among_categories_are_warned_of(case: str, tmp_path: Path) -> None:
    """Codes stay categories, with a warning that quotes a non-numeric text."""
    values, words = CODES[case]
    data = column(tmp_path, values)
    assert data.text == ("f",)
    assert any(words.replace("\\", "") in warning for warning in data.warnings)


@pytest.mark.parametrize("blank", ["\u00a0", "\u202f"])
def test_blanks_that_do_not_break_part_thousands(blank: str, tmp_path: Path) -> None:
    """Narrow and non-breaking spaces are read as thousands separators."""
    data = column(tmp_path, [f"{1500 + k * k:,}".replace(",", blank) for k in range(ROWS)])
    np.testing.assert_array_equal(data.x["f"], 1500 + np.arange(ROWS) ** 2)


@pytest.mark.parametrize(
    ("form", "words", "made"),
    [
        ("%d.%m.%y", "days since", ["f", "f month", "f day", "f weekday"]),
        ("%Y-%m", "days since", ["f", "f month"]),
        ("%H:%M", "times", ["f"]),
    ],
)
def test_short_dates_and_times_are_numbers(
    form: str, words: str, made: list[str], tmp_path: Path
) -> None:
    """Two-digit years, months and times of day become numbers, with a note."""
    moments = pd.Timestamp("2024-01-05") + pd.to_timedelta(np.arange(ROWS) * 31, "h")
    data = column(tmp_path, moments.strftime(form))
    assert data.numeric == (*made, "x")
    assert any(words in note for note in data.notes)


NUMBERS = np.random.default_rng(2)
SEQUENCES = {
    "every second row": (np.arange(0, 2 * ROWS, 2), True),
    "a sample of sorted numbers": (np.sort(NUMBERS.choice(4 * ROWS, ROWS, replace=False)), True),
    "a shuffled sample": (NUMBERS.permutation(int(1.5 * ROWS))[:ROWS], True),
    "squares": (np.arange(ROWS) ** 2, False),
    "shuffled and sparse": (NUMBERS.permutation(9 * ROWS)[:ROWS], False),
    "one twice": (np.array([*range(ROWS - 1), ROWS - 2]), False),
    "halves": (np.arange(ROWS) / 2, False),
}


@pytest.mark.parametrize("case", SEQUENCES)
def test_row_numbers_and_measurements(case: str) -> None:
    """Distinct whole numbers close together are row numbers; monotonic ones may have gaps."""
    values, numbers_rows = SEQUENCES[case]
    assert is_row_number(values.astype(float)) == numbers_rows


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        *[(name, True) for name in ("id", "Id", "customer_id", "PassengerId", "ID no", "GUID")],
        *[(name, False) for name in ("paid", "width", "idle", "grid", "liquid assets")],
    ],
)
def test_unique_numbers_named_as_identifiers_go(name: str, left_out: bool, tmp_path: Path) -> None:
    """Distinct whole numbers under an identifier's name are left out, however far apart."""
    data = column(tmp_path, np.random.default_rng(3).choice(10**8, ROWS, replace=False), name)
    assert (name not in data.columns) == left_out


@given(seed=st.integers(0, 10_000), rows=st.integers(30, 300), most=st.integers(1, 10**6))
@settings(max_examples=200, deadline=None)
def test_independent_measurements_are_no_row_numbers(seed: int, rows: int, most: int) -> None:
    """Independent whole numbers are kept, whether few or many, close or far apart."""
    values = np.random.default_rng(seed).integers(0, most, rows).astype(float)
    assert not is_row_number(values)


@pytest.mark.parametrize(
    ("classes", "alike"),
    [(["TRUE", "true", "false"], "'TRUE' and 'true'"), (["Yes", "no", "yes"], "'Yes' and 'yes'")],
)
def test_classes_that_differ_in_case_alone_are_warned_of(
    classes: list[str], alike: str, tmp_path: Path
) -> None:
    """They stay separate classes, as categories do, with a warning that names two of them."""
    named = [classes[k % 3] for k in range(ROWS)]
    rows = "".join(f"{x},a {name},{name}\n" for x, name in zip(X, named, strict=True))
    data = written(tmp_path, "x,f,y\n" + rows)
    assert data.classes == tuple(sorted(classes))
    assert any(warning.startswith(f"'y' holds {alike}") for warning in data.warnings)
    assert any(warning.startswith("'f' holds ") for warning in data.warnings)


@pytest.mark.parametrize("scale", ["1", "0.01"])
def test_decimals_of_parquet_are_numbers(scale: str, tmp_path: Path) -> None:
    """A gap is missing, whole decimals of one length are numbers, and the code reads the same."""
    values = [None, *((100 + k % 7) * Decimal(scale) for k in range(1, ROWS))]
    pd.DataFrame({"f": values, "x": X, "y": Y}).to_parquet(tmp_path / "t.parquet")
    data = load(str(tmp_path / "t.parquet"), "y")
    assert data.numeric == ("f", "x")
    expected = [np.nan, *(float(value) for value in values if value is not None)]
    np.testing.assert_array_equal(data.x["f"], expected)
    scope: dict[str, Any] = {"seed": 3}
    exec("\n".join(python_lines(data)), scope)
    np.testing.assert_array_equal(scope["x_test"], data.split(3).x_test)


def test_times_of_a_day_in_parquet_are_fractions_of_it(tmp_path: Path) -> None:
    """A column of times is read as the same texts in a CSV file are."""
    times = [time(k % 24, k % 60) for k in range(ROWS)]
    pd.DataFrame({"f": times, "x": X, "y": Y}).to_parquet(tmp_path / "t.parquet")
    data = load(str(tmp_path / "t.parquet"), "y")
    np.testing.assert_allclose(data.x["f"], [at.hour / 24 + at.minute / 1440 for at in times])
