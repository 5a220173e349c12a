"""Irregular files: how they are read, the notes printed, and whether models learn from them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.exported_scripts import printed_by
from tests.support.shell import Shell, refused
from tests.support.worker_here import concluded
from trainstack.search.data.load import load
from trainstack.spaces.errors import RequestError

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]

ROWS = 400
ALONE = ("--replicates", "1", "--no-yardstick", "--no-models")
QUICK = ("--trials", "1", "--space", "quick", "--folds", "1", *ALONE)


def measured() -> tuple[np.random.Generator, np.ndarray, np.ndarray, np.ndarray]:
    """Return a generator, two measurements, and the two classes that they determine."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=ROWS), rng.normal(size=ROWS)
    return rng, a, b, (a + 0.5 * b > 0).astype(int)


def trailing(path: Path) -> None:
    """Write rows that end in a comma missing from the header."""
    _, a, b, y = measured()
    rows = "".join(f"{k},{u:.3f},{v:.3f},\n" for k, u, v in zip(y, a, b, strict=True))
    path.write_text("y,a,b\n" + rows)


def numbers_as_text(path: Path) -> None:
    """Write numbers with a gap, thousands, decimal commas and percent signs, and a date."""
    rng = measured()[0]
    power = rng.integers(23, 115, ROWS) * 2
    noise = rng.normal(0, 3, ROWS)  # no column is to give the target away
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 40, ROWS), "D")
    pd.DataFrame(
        {
            "mpg": 50 - 0.12 * power + noise,
            "horsepower": ["?" if k == 3 else str(v) for k, v in enumerate(power)],
            "weight": [f"{v:,}" for v in rng.integers(1500, 5200, ROWS)],
            "price": [f"{v:.1f}".replace(".", ",") for v in rng.uniform(1, 9, ROWS)],
            "share": [f"{v}%" for v in rng.integers(0, 40, ROWS)],
            "when": days.strftime("%Y-%m-%d"),
        }
    ).to_csv(path, index=False)


def digits_as_text(path: Path) -> None:
    """Write a Parquet column of digits, distinct in every row."""
    _, a, _, y = measured()
    frame = pd.DataFrame({"zip": [f"{k:05d}" for k in range(ROWS)], "a": a, "y": y})
    frame.to_parquet(path)


def halves(path: Path) -> None:
    """Write an archive of float16."""
    _, a, b, y = measured()
    np.savez(path, x_train=np.stack([a, b], 1).astype("float16"), y_train=y)


def float_labels(path: Path) -> None:
    """Write an archive whose labels are 0. and 1."""
    _, a, b, y = measured()
    np.savez(path, x_train=np.stack([a, b], 1), y_train=y.astype("float32"))


def line_break(path: Path) -> None:
    """Write a column whose name has a line break."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["area", "price\n(EUR)"])
        writer.writerows([k, k * 2.5] for k in range(40))


def none_class(path: Path) -> None:
    """Write a target in which None is a class."""
    rng, a, _, _ = measured()
    kind = rng.choice(["None", "Insomnia", "Apnea"], ROWS)
    pd.DataFrame({"a": a + (kind == "None"), "disorder": kind}).to_csv(path, index=False)


def blanks(path: Path) -> None:
    """Write a target with a blank after the word in some cells."""
    _, a, _, y = measured()
    words = [("no", "yes")[v] + " " * (k % 50 == 0) for k, v in enumerate(y)]
    pd.DataFrame({"a": a, "y": words}).to_csv(path, index=False)


def thousands(path: Path) -> None:
    """Write a target with thousands separators, such as 1,304,448."""
    a = measured()[1]
    pd.DataFrame({"a": a, "price": [f"{int(v):,}" for v in np.exp(13 + a)]}).to_csv(
        path, index=False
    )


def plain(path: Path) -> None:
    """Write one measurement and two classes."""
    _, a, _, y = measured()
    pd.DataFrame({"a": a, "y": y}).to_csv(path, index=False)


# File → its writer, its target, words of the notes, columns and classes.
Case = tuple[Callable[[Path], None], str | None, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
TWO = ("0", "1")
WHEN = ("when", "when month", "when day", "when weekday")
READ: dict[str, Case] = {
    "trailing.csv": (trailing, "y", (), ("a", "b"), TWO),
    "numbers.csv": (
        numbers_as_text,
        "mpg",
        (
            "'horsepower' '?' (1) is read as missing",
            "'weight' is read as numbers with ',' between thousands",
            "'price' is read as numbers with ',' before decimals",
            "'share' is read as numbers with a percent sign",
            "'when' is read as dates",
        ),
        ("horsepower", "weight", "price", "share", *WHEN),
        (),
    ),
    "digits as text.parquet": (digits_as_text, "y", ("'zip'",), ("a",), TWO),
    "halves.npz": (halves, None, (), ("x0", "x1"), TWO),
    "float labels.npz": (float_labels, None, (), ("x0", "x1"), TWO),
    "break.csv": (line_break, "price\n(EUR)", ("'area'",), ("area",), ()),
    "none.csv": (none_class, "disorder", (), ("a",), ("Apnea", "Insomnia", "None")),
    "blanks.csv": (blanks, "y", ("have blanks around them",), ("a",), ("no", "yes")),
    "thousands.csv": (thousands, "price", ("',' between thousands",), ("a",), ()),
    "rows (1).csv": (plain, "y", (), ("a",), TWO),
    "Übung #3, final.csv": (plain, "y", (), ("a",), TWO),
}


@pytest.mark.parametrize("name", READ)
def test_a_file_is_read_as_it_was_meant(name: str, tmp_path: Path) -> None:
    """Columns and classes are read correctly, and notes describe every irregularity."""
    write, target, notes_expected, columns, classes = READ[name]
    write(tmp_path / name)
    data = load(str(tmp_path / name), target)
    assert (data.columns, data.text, data.classes) == (columns, (), classes)
    said = (*data.warnings, *data.notes)
    assert len(said) == len(notes_expected)
    assert all(words in note for words, note in zip(notes_expected, said, strict=True))


@pytest.mark.parametrize(
    ("name", "study", "advice"),
    [
        ("numbers.csv", "numbers", ("use --time 'when'",)),
        ("rows (1).csv", "rows 1", ()),
        ("Übung #3, final.csv", "Übung 3 final", ()),
    ],
)
def test_a_launch_prints_its_notes(
    name: str, study: str, advice: tuple[str, ...], shell: Shell, tmp_path: Path
) -> None:
    """Advice and notes come first on standard error; the study is named after the file."""
    write, target, notes_expected, _, _ = READ[name]
    write(tmp_path / name)
    done = shell.within("launch", tmp_path / name, "--target", target, "--detach")
    assert done.returncode == 0, done.stderr
    *notes, new, _ = done.stderr.splitlines()
    assert new == f"new study '{study}'"
    expected = (*advice, *notes_expected)
    assert all(words in note for words, note in zip(expected, notes, strict=True)), done.stderr


def test_a_name_that_an_error_suggests_is_taken(tmp_path: Path) -> None:
    """A column name listed in the error about a wrong target is accepted as printed."""
    path = tmp_path / "break.csv"
    line_break(path)
    with pytest.raises(RequestError, match="did you mean") as caught:
        load(str(path), "prise (EUR)")
    suggested = str(caught.value).split("did you mean '")[1].split("'")[0]
    assert load(str(path), suggested).target == "price\n(EUR)"


def gaps_and_infinity(path: Path) -> None:
    """Write a column with two gaps and an infinity in the twelfth line of the file."""
    _, a, _, y = measured()
    cells = [f"{v:.3f}" for v in a]
    cells[2] = cells[4] = ""
    cells[10] = "inf"
    pd.DataFrame({"v": cells, "y": y}).to_csv(path, index=False)


def infinite_half(path: Path) -> None:
    """Write an archive of float16 with an infinity."""
    _, a, b, y = measured()
    x = np.stack([a, b], 1).astype("float16")
    x[7, 1] = np.inf
    np.savez(path, x_train=x, y_train=y)


@pytest.mark.parametrize(
    ("name", "write", "asked", "where"),
    [
        ("gaps.csv", gaps_and_infinity, ("--target", "y"), "'v' of gaps.csv|in line 12"),
        ("infinite.npz", infinite_half, (), "x_train|row 7, feature 1"),
    ],
)
def test_an_infinity_is_named_by_its_place(
    name: str,
    write: Callable[[Path], None],
    asked: tuple[str, ...],
    where: str,
    fresh_home: Path,
    tmp_path: Path,
) -> None:
    """An infinity is reported in one line with exit code 2, and no database is started."""
    write(tmp_path / name)
    line = refused(Shell(fresh_home).within("launch", tmp_path / name, *asked), 2)
    assert all(words in line for words in where.split("|"))
    assert not fresh_home.exists()


def trained(shell: Shell, path: Path, *asked: object) -> tuple[Any, Any]:
    """Run a study of this file to its end; return the launch's output and the recommendation."""
    return concluded(shell, path, *asked), shell.json("recommend", path.stem)


def test_codes_stay_codes_in_another_file(shell: Shell, tmp_path: Path) -> None:
    """A file without the only non-numeric code gets the same predictions for the same rows."""
    rng, a, _, _ = measured()
    code = rng.choice(["01", "02", "03", "1A"], ROWS)
    kind = np.where(np.isin(code, ["01", "1A"]), "yes", "no")
    frame = pd.DataFrame({"code": code, "n": a.round(3), "kind": kind})
    frame.to_csv(tmp_path / "codes.csv", index=False)
    rest = frame[frame["code"] != "1A"]
    rest.to_csv(tmp_path / "rest.csv", index=False)
    asked = ("--target", "kind", *QUICK, "--epochs", "5")
    _, found = trained(shell, tmp_path / "codes.csv", *asked)
    assert found["test"]["accuracy"]["mean"] > 0.95
    done = shell.within("export", "codes", "--format", "keras", "-o", tmp_path / "codes.keras")
    assert done.returncode == 0, done.stderr
    answers = [predicted(tmp_path / "codes.predict.py", name) for name in ("codes", "rest")]
    whole = answers[0].loc[rest.index].reset_index(drop=True)
    assert list(answers[1]["kind"]) == list(whole["kind"])
    np.testing.assert_allclose(answers[1].iloc[:, 1:], whole.iloc[:, 1:], atol=1e-6)


def predicted(script: Path, name: str) -> pd.DataFrame:
    """Return the exported script's predictions for a file beside it."""
    return pd.read_csv(io.StringIO(printed_by(script, script.with_name(f"{name}.csv"))))


def test_a_rare_class_trains_and_is_not_overrated(shell: Shell, tmp_path: Path) -> None:
    """With 12 positives in 6,000 rows training ends, and an accuracy of 0.998 gets a warning."""
    rng = np.random.default_rng(31)
    fraud = np.zeros(6000, int)
    fraud[rng.choice(6000, 12, replace=False)] = 1
    frame = {"x1": rng.normal(size=6000) + fraud, "x2": rng.normal(size=6000), "fraud": fraud}
    pd.DataFrame(frame).to_csv(tmp_path / "rare.csv", index=False)
    none = ("normalization", "input_normalization", "dropout", "penalty", "max_norm", "clipping")
    stack = {
        **{"units": [300, 100, 50, 50, 50], "connection": "plain"},
        **{"activation": "selu", "initializer": "lecun_normal", **dict.fromkeys(none, "none")},
        **{"optimizer": "nadam", "optimizer.learning_rate": 9e-5},
        **{"optimizer.beta_1": 0.9, "optimizer.beta_2": 0.999},
        **{"schedule": "cosine", "schedule.warmup": 0.1, "batch_size": 128, "patience": 10},
    }
    (tmp_path / "stack.json").write_text(json.dumps([stack]))
    asked = ("--stacks", tmp_path / "stack.json", "--epochs", "10", *ALONE)
    _, found = trained(shell, tmp_path / "rare.csv", "--target", "fraud", *asked)
    (row,) = shell.json("trials", "rare")
    assert (row["outcome"], row["epochs"]) == ("completed", 10)
    assert row["curve"][-1] < 0.05 < row["curve"][0]
    output = " ".join(shell.within("recommend", "rare").stdout.split())
    assert "no better than always answering the class shares" in output
    assert "is the majority class's share: judge by the loss" in output
    assert found["test"]["accuracy"]["mean"] == pytest.approx(0.998, abs=0.001)


def test_a_target_far_from_zero_is_learnt(shell: Shell, tmp_path: Path) -> None:
    """A target of seconds since 1970 within one minute is predicted to a few seconds."""
    rng, a, _, _ = measured()
    passed = rng.uniform(0, 60, ROWS)
    frame = pd.DataFrame({"x": passed / 60 + 0.01 * a, "stamp": 1.7e9 + passed})
    frame.to_csv(tmp_path / "far target.csv", index=False)
    asked = ("--target", "stamp", *QUICK, "--epochs", "10")
    _, found = trained(shell, tmp_path / "far target.csv", *asked)
    assert found["test"]["rmse"]["mean"] < 3


def test_a_feature_far_from_zero_is_learnt_from(shell: Shell, tmp_path: Path) -> None:
    """A curve over seconds since 1970, the only feature, is learnt."""
    rng = measured()[0]
    passed = rng.uniform(0, 60, ROWS)
    path = tmp_path / "far feature.npz"
    np.savez(path, x_train=(1.7e9 + passed)[:, None], y_train=np.sin(passed / 10))
    _, found = trained(shell, path, *QUICK, "--epochs", "10")
    assert found["test"]["rmse"]["mean"] < 0.25


def test_a_sorted_identifier_teaches_nothing(shell: Shell, tmp_path: Path) -> None:
    """An id is left out with a note; on noise the conclusion reports chance accuracy."""
    rng = measured()[0]
    classes = np.sort(rng.integers(0, 3, ROWS))
    frame = {"Id": np.arange(1, ROWS + 1), "x": rng.normal(size=ROWS), "y": classes}
    pd.DataFrame(frame).to_csv(tmp_path / "noise.csv", index=False)
    asked = ("--target", "y", *QUICK, "--epochs", "5")
    done, found = trained(shell, tmp_path / "noise.csv", *asked)
    assert done.stderr.startswith("Column(s) 'Id' have a distinct value in every row")
    assert found["test"]["accuracy"]["mean"] < 0.55  # 80 rows of three classes
    assert found["sentence"].startswith("No stack was shown to learn anything")
