"""Flags about folds: what is refused before anything starts, what is shown, and resuming."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.shell import Shell, refused
from tests.support.studies import spec_of
from trainstack.search.cli.fold_options import folds_of, kept_folds, trial_lines
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.division import Division
from trainstack.search.data.load import load
from trainstack.search.data.summary import summary_of
from trainstack.search.evidence.ablation import TUNING_INDEX
from trainstack.search.folds import confirmation_split
from trainstack.search.plan_length import training_rows

ROWS = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of groups, times and classes, and an archive with its own parts."""
    found, rng = tmp_path_factory.mktemp("folds"), np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 2))
    frame = pd.DataFrame(x, columns=["a", "b"])
    frame["who"] = np.arange(ROWS) // 2 % 6
    frame["few"] = np.arange(ROWS) // 24  # five distinct times
    frame["day"] = np.arange(ROWS)
    frame["kind"] = np.where(np.arange(ROWS) % 2, "odd", "even")
    frame["often"] = np.where(np.arange(ROWS) % 24, "common", "rare")
    frame["late"] = np.where(np.arange(ROWS) < 30, "early", frame["kind"])
    frame["part"] = np.where(np.arange(ROWS) < 80, "train", "valid")
    frame.to_csv(found / "t.csv", index=False)
    frame.to_csv(found / "valid.csv", index=False)
    y = np.arange(ROWS) % 2
    np.savez(found / "own.npz", x_train=x, y_train=y, x_valid=x[:40], y_valid=y[:40])
    return found


TABLE = ("t.csv", "--target", "kind")
# Arguments → a part of the line.
BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "no fold": ((*TABLE, "--folds", "0"), "--folds 0; expected a whole number from 1 to 20"),
    "many folds": ((*TABLE, "--folds", "21"), "--folds 21; expected a whole number from 1 to 20"),
    "no repeat": ((*TABLE, "--folds", "2", "--repeats", "0"), "--repeats 0; expected a whole"),
    "many repeats": ((*TABLE, "--folds", "2", "--repeats", "21"), "--repeats 21; expected a whole"),
    "repeats alone": ((*TABLE, "--repeats", "2"), "--repeats 2 without folds"),
    "repeats of one part": (
        (*TABLE, "--folds", "1", "--repeats", "2"),
        "--repeats 2 without folds",
    ),
    "few groups": (
        (*TABLE, "--group", "who", "--folds", "6"),
        "--folds 6, but 5 group(s) are not for testing",
    ),
    "a rare class": (
        ("t.csv", "--target", "often", "--folds", "5"),
        "--folds 5, but class 'rare' has 4 row(s)",
    ),
    "a class that comes late": (
        ("t.csv", "--target", "late", "--time", "day", "--folds", "3"),
        "the training part of fold 1 has no row of class",
    ),
    "few times": (
        (*TABLE, "--time", "few", "--folds", "4"),
        "--folds 4, but 4 distinct time(s) are not for testing",
    ),
    "a gap without rows": (
        (*TABLE, "--time", "day", "--gap", "30", "--folds", "4"),
        "the training part of fold 1 has no rows",
    ),
    "repeats in time": (
        (*TABLE, "--time", "day", "--folds", "3", "--repeats", "2"),
        "--repeats 2 with --time",
    ),
    "a validation file": (
        (*TABLE, "--valid", "valid.csv", "--folds", "3"),
        "--folds 3 with a given validation part",
    ),
    "a validation part": (
        (*TABLE, "--part", "part", "--folds", "3"),
        "--folds 3 with a given validation part",
    ),
    "an archive's part": (("own.npz", "--folds", "3"), "--folds 3 with a given validation part"),
}


@pytest.mark.parametrize("verb", ["launch", "claims", "data"])
@pytest.mark.parametrize("fault", BAD)
def test_folds_that_cannot_be_are_one_line(
    fault: str, verb: str, folder: Path, tmp_path: Path
) -> None:
    """Every verb with folds exits 2 with one line, before anything is created."""
    words, line = BAD[fault]
    home = tmp_path / "home"
    assert line in refused(Shell(home).within(verb, *words, cwd=folder), 2)
    assert not home.exists()


def asking(folder: Path, target: str = "kind", **plan: str) -> Dataset:
    """Load the table."""
    from trainstack.search.data.split_plan import SplitPlan

    return load(str(folder / "t.csv"), target, plan=SplitPlan(**plan))


def table(folder: Path, rows: int, target: str = "kind", **plan: str) -> Dataset:
    """Load a table of that many rows in two classes and 200 groups."""
    from trainstack.search.data.split_plan import SplitPlan

    count, path = np.arange(rows), folder / f"{rows}.csv"
    frame = pd.DataFrame({"a": np.sin(count), "who": count % 200, "day": count})
    frame["kind"] = np.where(count % 2, "odd", "even")
    frame["size"] = np.cos(count)
    frame.to_csv(path, index=False)
    return load(str(path), target, plan=SplitPlan(**plan))


@pytest.mark.parametrize("target", ["kind", "size"])
@pytest.mark.parametrize(("rows", "folds"), [(1248, 5), (1249, 5), (1250, 1), (3000, 1)])
def test_few_rows_are_divided_into_five_folds(
    rows: int, folds: int, target: str, tmp_path: Path
) -> None:
    """Without the flag: below 1,000 rows that are not for testing, of which 1,250 leave 1,000."""
    data = table(tmp_path, rows, target)
    found = data.division.positions(0)
    kept = len(found["train"]) + len(found["valid"])
    assert (kept < 1000, folds_of(data, None, 1, 0, 5)) == (folds == 5, (folds, 1))
    assert folds_of(data, 1, 1, 0, 5) == (1, 1)
    assert folds_of(data, 3, 2, 0, 5) == (3, 2)


@pytest.mark.parametrize(("rows", "folds"), [(999, 5), (1000, 1)])
def test_rows_of_a_given_test_part_do_not_count(rows: int, folds: int, tmp_path: Path) -> None:
    """An archive of 999 or 1,000 rows to divide, and 400 to test with."""
    x, y = np.sin(np.arange(4 * 1400)).reshape(1400, 4), np.arange(1400) % 2
    parts = {"x_train": x[:rows], "y_train": y[:rows], "x_test": x[1000:], "y_test": y[1000:]}
    np.savez(tmp_path / "a.npz", **parts)
    assert folds_of(load(str(tmp_path / "a.npz")), None, 1, 0, 5) == (folds, 1)


def test_groups_are_divided_into_five_folds_if_there_are_so_many(folder: Path) -> None:
    """Of six groups five are not for testing; of five groups four, which have one part."""
    assert folds_of(asking(folder, group="who"), None, 1, 0, 5) == (5, 1)
    assert folds_of(asking(folder, group="few"), None, 1, 0, 5) == (1, 1)


def test_rows_that_five_folds_cannot_divide_have_one_part(folder: Path) -> None:
    """A class of four rows, an order in time, and a given validation part are no errors."""
    assert folds_of(asking(folder, "often"), None, 1, 0, 5) == (1, 1)
    assert folds_of(asking(folder, time="day"), None, 1, 0, 5) == (1, 1)
    assert folds_of(asking(folder, part="part"), None, 1, 0, 5) == (1, 1)
    assert folds_of(load(str(folder / "own.npz")), None, 1, 0, 5) == (1, 1)


def test_a_launch_says_how_its_trials_are_scored() -> None:
    """Always, and if a time limit may be too short for folds that were not asked for."""
    on_folds, short = spec_of(folds=5), spec_of(folds=5, timeout_seconds=60.0)
    line = "plans of at most 9 epochs, scored by the mean over 5 folds"
    assert trial_lines(on_folds, None) == trial_lines(short, 5) == [line]
    assert trial_lines(short, None)[0] == line
    assert "--folds 1" in trial_lines(short, None)[1]
    (line,) = trial_lines(spec_of(timeout_seconds=60.0), None)
    assert line == "plans of at most 9 epochs, scored by one part held out"


def test_every_division_of_groups_is_checked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search's, and each one that confirmation and tuning runs will use."""
    seeds: list[int] = []
    divide = Division.folds

    def noted(data: Division, folds: int, repeats: int, seed: int) -> Any:
        seeds.append(seed)
        return divide(data, folds, repeats, seed)

    monkeypatch.setattr(Division, "folds", noted)
    assert folds_of(asking(folder, group="who"), 3, 1, seed=4, replicates=5) == (3, 1)
    spec = spec_of(folds=3, seed=4)
    used = {confirmation_split(spec, index).seed for index in (*range(5), TUNING_INDEX)}
    assert set(seeds) == {4, *used}


def test_other_folds_are_another_request() -> None:
    """A repeated launch with other folds or repeats prints the difference in one line."""
    spec = spec_of(folds=5)
    assert spec.differences(replace(spec, folds=1)) == [
        "a trial is scored by the mean over 5 folds here, by one part held out asked"
    ]
    assert spec.differences(replace(spec, repeats=2)) == [
        "a trial is scored by the mean over 5 folds here, by the mean over 5 folds of 2 divisions "
        "asked"
    ]
    assert spec.differences(replace(spec, seed=1)) == ["seed: 0 here, 1 asked"]


def test_a_launch_without_the_flag_keeps_the_folds_of_its_study() -> None:
    """Only if the study exists, has the same data, and no folds are asked for."""
    there, asked = spec_of(folds=5, repeats=2), spec_of()
    other = replace(asked, data=replace(asked.data, fingerprint="other"))
    assert kept_folds(there, asked, None) == {"folds": 5, "repeats": 2}
    assert kept_folds(there, there, None) == {}
    assert kept_folds(there, asked, 1) == kept_folds(None, asked, None) == {}
    assert kept_folds(there, other, None) == {}


def test_training_rows_are_the_mean_over_the_folds(folder: Path) -> None:
    """Of 96 rows, four fifths; of growing periods, half of the last one's training rows or so."""
    assert training_rows(asking(folder), 5) == round(96 * 4 / 5)
    sizes = [len(rows["train"]) for rows in asking(folder, time="day").division.folds(3, 1, 0)]
    assert training_rows(asking(folder, time="day"), 3) == round(sum(sizes) / 3)


def test_the_summary_has_the_rows_of_each_fold(folder: Path) -> None:
    """Validation parts add up, with their classes; in time each has its period."""
    found = summary_of(asking(folder), 4, 2)
    assert len(found.folds) == 8
    assert sum(fold.valid for fold in found.folds[:4]) == 96
    assert all(fold.train + fold.valid == 96 for fold in found.folds)
    assert [sum(fold.classes.values()) for fold in found.folds] == [f.valid for f in found.folds]
    assert {fold.first for fold in found.folds} == {None}
    assert summary_of(asking(folder)).folds == ()
    in_time = summary_of(asking(folder, time="day"), 3).folds
    periods = [(fold.first, fold.last) for fold in in_time]
    assert periods == [("24", "47"), ("48", "71"), ("72", "95")]
    assert [fold.train for fold in in_time] == [24, 48, 72]


def test_the_text_says_what_the_folds_are(folder: Path) -> None:
    """A line for all folds at random, one for each in time, none without folds."""
    shell = Shell(folder / "home")

    def text(*flags: str) -> str:
        done = shell.within("data", *TABLE, *flags, cwd=folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "3 folds: to train 64, to validate 32" in text("--folds", "3")
    assert "fold 2: to train 48, to validate 24, from 48 to 71" in text(
        "--folds", "3", "--time", "day"
    )
    assert "A fold validates on 1 group(s) of 'who'" in " ".join(
        text("--folds", "3", "--group", "who").split()
    )
    assert "5 folds: to train 76 to 77, to validate 19 to 20" in text()
    assert "fold" not in text("--folds", "1")


def test_few_rows_and_rare_labels_can_be_divided(tmp_path: Path) -> None:
    """Quantities of few rows are refused in one line; strata of labels have a row per fold."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    frame["p"], frame["q"] = rng.random(60) < 0.5, rng.random(60) < 0.2
    frame.to_csv(tmp_path / "labels.csv", index=False)
    data = load(str(tmp_path / "labels.csv"), "p,q", "multilabel")
    assert len(data.division.folds(12, 1, 0)) == 12
