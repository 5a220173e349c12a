"""Properties of every table: reading of numbers, classes, identifiers, names and faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainstack.search.data.load import load
from trainstack.spaces.errors import RequestError

ROWS = 40
X = np.random.default_rng(0).normal(size=ROWS).round(4)
Y = np.arange(ROWS) % 2
# Spellings of numbers, each with its value.
SPELLINGS = {
    "thousands": lambda n: (f"{n:,}", float(n)),
    "decimal comma": lambda n: (f"{n / 10:.1f}".replace(".", ","), n / 10),
    "percent": lambda n: (f"{n % 1000}%", float(n % 1000)),
    "blanks around": lambda n: (f" {n} ", float(n)),
    "exponent": lambda n: (f"{n}e2", n * 100.0),
    "plain": lambda n: (f"{n}.5", n + 0.5),
}
WORDS = ("None", "NA", "N/A", "nan", "null", "none", "n/a", "NULL", "NaN", "-", "missing", "x")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose table is rewritten by each example."""
    return tmp_path_factory.mktemp("table")


def saved(folder: Path, **columns: Any) -> str:
    """Write a CSV of these columns; return its path."""
    path = folder / "t.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return str(path)


@given(
    spelling=st.sampled_from(sorted(SPELLINGS)),
    seed=st.integers(0, 10_000),
    gaps=st.sets(st.integers(0, ROWS - 1), max_size=5),
    gap=st.sampled_from(["", "?", "NA"]),
)
@settings(max_examples=25, deadline=None)
def test_numbers_are_numbers_however_they_are_spelt(
    folder: Path, spelling: str, seed: int, gaps: set[int], gap: str
) -> None:
    """A column of numbers in one spelling, with gaps, never becomes categories."""
    numbers = np.random.default_rng(seed).integers(1_000, 1_000_000, ROWS).tolist()
    texts, values = zip(*map(SPELLINGS[spelling], numbers), strict=True)
    cells = [gap if k in gaps else text for k, text in enumerate(texts)]
    data = load(saved(folder, f=cells, x=X, y=Y), "y")
    assert data.numeric == ("f", "x")
    expected = [np.nan if k in gaps else value for k, value in enumerate(values)]
    np.testing.assert_allclose(data.x["f"], expected, rtol=1e-12)


@given(
    words=st.lists(st.sampled_from(WORDS), min_size=2, max_size=4, unique=True), empty=st.booleans()
)
@settings(max_examples=25, deadline=None)
def test_any_word_is_a_class_and_only_an_empty_cell_is_missing(
    folder: Path, words: list[str], empty: bool
) -> None:
    """In a target, words that usually mark missing values are classes, and no row is lost."""
    names = [words[k % len(words)] for k in range(ROWS * 2)] + [""] * empty
    data = load(saved(folder, x=np.arange(len(names)) % 7 + 0.5, y=names), "y")
    assert data.classes == tuple(sorted(words))
    assert data.rows == ROWS * 2
    assert any("without a value" in note for note in data.warnings) is empty


@given(start=st.integers(-5, 10**6), step=st.integers(1, 3), text=st.booleans())
@settings(max_examples=25, deadline=None)
def test_row_numbers_are_no_feature(folder: Path, start: int, step: int, text: bool) -> None:
    """Whole numbers with a constant step, as numbers or within a text, are left out."""
    numbers = [start + step * k for k in range(ROWS)]
    cells = [f"row {n}" for n in numbers] if text else numbers
    assert load(saved(folder, key=cells, x=X, y=Y), "y").columns == ("x",)


@given(blanks=st.lists(st.tuples(st.sampled_from(["", " ", "  "]), st.sampled_from(["", " "]))))
@settings(max_examples=30, deadline=None)
def test_blanks_around_a_label_make_no_class(folder: Path, blanks: list[tuple[str, str]]) -> None:
    """Labels that differ only in blanks are one class."""
    around = [*blanks[:ROWS], *[("", "")] * (ROWS - len(blanks[:ROWS]))]
    labels = [f"{a}{'yes' if y else 'no'}{b}" for (a, b), y in zip(around, Y, strict=True)]
    assert load(saved(folder, x=X, y=labels), "y").classes == ("no", "yes")


@given(name=st.text("ab (\n\r)é%", min_size=1, max_size=8).filter(lambda t: t.strip() and t != "x"))
@settings(max_examples=25, deadline=None)
def test_a_column_is_found_by_its_name(folder: Path, name: str) -> None:
    """The target is found by its name in the file, and by the name shown in an error."""
    path = folder / "t.csv"
    path.write_text(f'x,"{name}"\n' + "".join(f"{x},{y}\n" for x, y in zip(X, Y, strict=True)))
    with pytest.raises(RequestError) as wrong:
        load(str(path), "no such column")
    shown = " ".join(name.split())
    assert shown in str(wrong.value)
    columns = [load(str(path), asked).columns for asked in (name, shown)]
    assert columns == [("x",), ("x",)]


@given(
    empty=st.sets(st.integers(0, ROWS - 1), max_size=10),
    blank=st.sets(st.integers(0, ROWS - 1), max_size=5),
    bad=st.integers(0, ROWS - 1),
)
@settings(max_examples=25, deadline=None)
def test_a_fault_is_named_by_its_line(
    folder: Path, empty: set[int], blank: set[int], bad: int
) -> None:
    """Rows without a target and blank lines before a bad value do not shift the reported line."""
    lines = ["v,y"]
    for k in range(ROWS):
        lines += [""] * (k in blank)
        lines.append(f"{'inf' if k == bad else k + 0.5},{'' if k in empty - {bad} else k % 2}")
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    line = next(k for k, text in enumerate(lines, start=1) if text.startswith("inf"))
    with pytest.raises(RequestError, match=rf"\bline {line}\b"):
        load(str(folder / "t.csv"), "y")
