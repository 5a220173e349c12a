"""The summary of data: its figures, its warnings, and its text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.cells import cell_len
from scipy.stats import skew

from tests.support.data_files import arrays, images, table
from tests.support.data_kinds import KINDS
from trainstack.search.cli.data import text_of
from trainstack.search.cli.main import run
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.leaks import GIVES_AWAY, explained
from trainstack.search.data.load import load
from trainstack.search.data.overrules import Overrules
from trainstack.search.data.summary import summary_of
from trainstack.search.data.warnings import warnings_of

ROWS = 400
RNG = np.random.default_rng(0)
X = RNG.normal(size=ROWS)
NOISE = RNG.normal(size=ROWS)
CLASS = (X + NOISE > 0).astype(int)
AMOUNT = 10 + 3 * X + NOISE
COUNT = np.arange(ROWS)


def loaded(folder: Path, target: str = "y", **columns: Any) -> Dataset:
    """Load a CSV of these columns."""
    pd.DataFrame(columns).to_csv(folder / "t.csv", index=False)
    return load(str(folder / "t.csv"), target)


def one(data: Dataset) -> str:
    """Return the only warning."""
    (warning,) = warnings_of(data)
    return warning


@pytest.mark.parametrize("make", KINDS)
def test_the_features_of_the_columns_add_up(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For data of every kind, features, rows of parts and of classes have the right sums."""
    monkeypatch.setenv("TRAINSTACK_DATA", str(tmp_path))
    data = make(tmp_path)
    found = summary_of(data)
    split = data.split(0)
    assert found.features == data.features == sum(c.features for c in found.columns)
    assert all((column.features > 0) == column.used for column in found.columns)
    parts = (found.parts.train, found.parts.valid, found.parts.test)
    assert parts == (len(split.y_train), len(split.y_valid), len(split.y_test))
    assert found.rows == sum(parts)
    assert sum(found.classes.values()) == (found.rows if data.classes else 0)
    assert (found.distribution is None) == bool(data.classes)


def test_a_table_is_summarised_column_by_column(tmp_path: Path) -> None:
    """Kind, share missing, levels and features are those counted by hand."""
    table().to_csv(tmp_path / "t.csv", index=False)
    found = summary_of(load(str(tmp_path / "t.csv"), "kind"))
    assert {c.name: (c.kind, c.missing, c.levels, c.features) for c in found.columns} == {
        "age": ("number", 23 / 200, 177, 2),
        "rooms": ("number", 0, 8, 1),
        "garden": ("boolean", 0, 2, 1),
        "colour": ("category", 66 / 200, 2, 3),
        "street": ("category", 0, table()["street"].nunique(), 50),
        "country": ("category", 0, 1, 0),
        "nothing": ("category", 1, 0, 0),
        "price": ("number", 0, 200, 1),
    }
    assert found.classes == {"flat": 100, "house": 100}


def test_the_distribution_of_a_target(tmp_path: Path) -> None:
    """Its figures are NumPy's and SciPy's."""
    found = summary_of(loaded(tmp_path, x=X, y=AMOUNT)).distribution
    assert found is not None
    y = AMOUNT
    expected = (y.mean(), y.std(), y.min(), np.median(y), y.max(), skew(y))
    figures = (found.mean, found.deviation, found.lowest, found.median, found.highest)
    np.testing.assert_allclose((*figures, found.skewness), expected, rtol=1e-9)


# A column that gives the target away, and the target.
LEAKS = {
    "the same in words": (np.where(CLASS, "paid", "due"), CLASS),
    "the same, shifted": (CLASS * 2 + 5, CLASS),
    "filled for one class only": (np.where(CLASS, (COUNT % 9).astype(str), ""), CLASS),
    "another unit": (AMOUNT * 25.4, AMOUNT),
    "a curve": (np.exp(AMOUNT / 3), AMOUNT),
    "with little noise": (AMOUNT + NOISE / 10, AMOUNT),
    "a rare class": ((COUNT % 16 == 0) * 3, (COUNT % 16 == 0).astype(int)),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_column_that_gives_the_target_away_is_named(name: str, tmp_path: Path) -> None:
    """The warning names it and the flag that leaves it out, after which there is none."""
    cells, y = LEAKS[name]
    data = loaded(tmp_path, x=X, **{name: cells}, y=y)
    assert f"'{name}' alone gives the target away" in one(data)
    assert f"--drop '{name}'" in one(data)
    rest = load(str(tmp_path / "t.csv"), "y", overrules=Overrules(drop=(name,)))
    assert warnings_of(rest) == ()


@pytest.mark.parametrize(
    ("cells", "y"),
    [
        (X, CLASS),
        (AMOUNT + NOISE, AMOUNT),
        ([f"shop {k % 40}" for k in COUNT], CLASS),
        (X, (COUNT < 7).astype(int)),
        (COUNT % 5, (COUNT == 3) | (COUNT % 57 == 1)),
    ],
)
def test_a_good_column_gives_nothing_away(cells: Any, y: Any, tmp_path: Path) -> None:
    """A strong but noisy column, many categories, and few rows of a class raise no alarm."""
    data = loaded(tmp_path, x=X, f=cells, y=y)
    assert not any("gives the target away" in warning for warning in warnings_of(data))


@pytest.mark.parametrize("name", ["digits", "breast-cancer", "wine", "diabetes"])
def test_no_column_of_the_bundled_data_gives_the_target_away(name: str) -> None:
    """The best column stays far from the limit."""
    assert max(explained(load(name)).values(), default=0.0) < 0.8 < GIVES_AWAY


def test_a_wide_table_is_searched_without_a_tree_for_each_column(tmp_path: Path) -> None:
    """Columns that say little are skipped, and those that give the target away are found."""
    x = RNG.normal(size=(ROWS, 600))
    x[:, 17], x[:, 400] = np.sin(3 * AMOUNT), AMOUNT**3
    arrays = {"x_train": x, "y_train": AMOUNT}
    np.savez(tmp_path / "wide.npz", **arrays)
    found = explained(load(str(tmp_path / "wide.npz")))
    assert found["x400"] > GIVES_AWAY
    assert len(found) < 60


def test_pictures_are_not_searched(tmp_path: Path) -> None:
    """No pixel is compared with the classes."""
    assert explained(load(str(images(tmp_path / "i")))) == {}


def test_an_archive_names_a_feature_without_a_flag(tmp_path: Path) -> None:
    """A column of arrays that gives the classes away is named, without a flag that it lacks."""
    data = arrays(rows=90)
    data["x_train"][:, 2] = data["y_train"]
    np.savez(tmp_path / "a.npz", **data)
    (warning,) = warnings_of(load(str(tmp_path / "a.npz")))
    assert "'x2' alone gives the target away" in warning
    assert "--drop" not in warning


def test_a_repeated_identifier_is_named(tmp_path: Path) -> None:
    """Numbers named as an identifier that recur are used, with a warning."""
    data = loaded(tmp_path, x=X, user_id=RNG.integers(0, 90, ROWS), y=CLASS)
    assert "'user_id' has the name of an identifier and is read as numbers" in one(data)


def test_few_rows_of_a_class_are_named(tmp_path: Path) -> None:
    """Classes of fewer than 25 rows are named with their number, the smallest first."""
    kinds = np.array(["usual"] * (ROWS - 30) + ["seldom"] * 24 + ["rare"] * 6)
    assert "2 class(es) have fewer than 25 rows" in one(loaded(tmp_path, x=X, y=kinds))
    assert "'rare' (6), 'seldom' (24)" in one(loaded(tmp_path, x=X, y=kinds))


def test_a_target_that_wants_its_logarithm_is_named(tmp_path: Path) -> None:
    """Log-normal prices are; the same with zeros, their logarithm and normal numbers are not."""
    price = np.exp(12 + RNG.normal(size=ROWS))
    assert "its logarithm may be learnt better" in one(loaded(tmp_path, x=X, y=price))
    for y in (np.where(COUNT % 9 == 0, 0, price), np.log(price), AMOUNT):
        assert warnings_of(loaded(tmp_path, x=X, y=y)) == ()


def test_rows_that_occur_twice_are_counted(tmp_path: Path) -> None:
    """Copies of an earlier row count as pandas counts them; another target makes another row."""
    frame = pd.DataFrame({"x": X.round(1), "kind": [f"k{k % 3}" for k in COUNT], "y": CLASS})
    expected = int(frame.duplicated().sum())
    data = loaded(tmp_path, **{name: frame[name] for name in frame})
    assert summary_of(data).duplicates == expected > 0
    assert one(data).startswith(f"{expected} row(s)")
    np.savez(tmp_path / "a.npz", x_train=np.eye(4)[COUNT % 4], y_train=COUNT % 2)
    assert summary_of(load(str(tmp_path / "a.npz"))).duplicates == ROWS - 4


def test_the_text_fits_a_terminal(tmp_path: Path) -> None:
    """No line of the text is wider than 79 characters; every column and warning is there."""
    table().assign(**{"a long name " * 9: X[:200], "customer id": COUNT[:200]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    found = summary_of(load(str(tmp_path / "t.csv"), "price"))
    text = text_of("t.csv", found)
    assert max(map(len, text.splitlines())) < 80
    assert all(f"\n{column.name[:9]}" in text for column in found.columns)
    words = " ".join(text.split())
    assert all(warning in words for warning in found.warnings)


def test_wide_characters_and_numbers_keep_the_columns(tmp_path: Path) -> None:
    """Names of wide characters are aligned by their cells, and huge numbers are short."""
    wide = {"日本語の列名がとても長い場合": X, "気温": X + COUNT}
    text = text_of("t.csv", summary_of(loaded(tmp_path, **wide, y=AMOUNT * 1e30)))
    columns = [line for line in text.splitlines() if "  number  " in line]
    assert len({cell_len(line.partition("  number  ")[0]) for line in columns}) == 1
    assert max(map(cell_len, text.splitlines())) < 80
    assert "e+3" in text


def test_a_wide_table_lists_what_is_not_plain(tmp_path: Path) -> None:
    """Of 60 columns of numbers and two others, the two are listed and the rest counted."""
    wide = {f"n{k}": RNG.normal(size=ROWS) for k in range(60)}
    data = loaded(tmp_path, **wide, kind=["a", "b"] * (ROWS // 2), Id=COUNT, y=AMOUNT)
    text = text_of("t.csv", summary_of(data))
    assert "60 more standardised numbers without gaps, such as n0" in text
    assert len(text.splitlines()) < 20


def test_a_wrong_flag_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flag that contradicts another ends with exit code 2 and one line on standard error."""
    loaded(tmp_path, x=X, y=CLASS)
    path = str(tmp_path / "t.csv")
    assert run(["data", path, "--target", "y", "--numeric", "x", "--date", "x"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "trainstack: --numeric and --date both name 'x'; expected one of them\n"
