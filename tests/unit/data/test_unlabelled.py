"""Rows without a target: kept aside for pretraining, or left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.data_files import arrays, table
from tests.support.data_kinds import PARTS
from trainstack.search.artifacts import FolderStore
from trainstack.search.conclusion.replay_command import replay_command
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.generated_code import python_lines
from trainstack.search.data.load import load
from trainstack.search.data.sharing import obtain, share
from trainstack.search.data.split_plan import SplitPlan
from trainstack.search.data.summary import summary_of
from trainstack.search.data_spec import DataSpec
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError

ROWS = 40  # of 200 without a target


def holed(target: str = "price") -> pd.DataFrame:
    """Return a table whose first rows have no target, but values found nowhere else."""
    frame = table()
    frame[target] = frame[target].astype(object).where(np.arange(len(frame)) >= ROWS)
    frame.loc[: ROWS - 1, "rooms"] = 1000
    frame.loc[3, "colour"] = "seen nowhere else"
    frame.loc[4, "rooms"] = np.nan
    return frame


def csv(folder: Path, unlabelled: str | None = "keep", **options: Any) -> Dataset:
    holed().to_csv(folder / "t.csv", index=False)
    return load(str(folder / "t.csv"), "price", unlabelled=unlabelled, **options)


def npz(folder: Path, unlabelled: str | None = None, **changed: Any) -> Dataset:
    more = {"x_unlabelled": 5 + arrays(rows=30, seed=1)["x_train"].astype(np.float64)}
    np.savez(folder / "a.npz", **{**arrays(), **more, **changed})
    return load(str(folder / "a.npz"), unlabelled=unlabelled)


def several_files(folder: Path) -> Dataset:
    frame = holed()
    frame[::2].to_csv(folder / "train.csv", index=False)
    frame[1::2].to_csv(folder / "test.csv", index=False)
    plan = SplitPlan(test=str(folder / "test.csv"))
    return load(str(folder / "train.csv"), "price", unlabelled="keep", plan=plan)


def named_parts(folder: Path) -> Dataset:
    holed().assign(part=["Training", "test"] * 100).to_csv(folder / "p.csv", index=False)
    return load(str(folder / "p.csv"), "price", unlabelled="keep", plan=SplitPlan(part="part"))


def full(folder: Path, kind: str = "csv") -> Dataset:
    table().to_csv(folder / "t.csv", index=False)
    np.savez(folder / "a.npz", **arrays())
    if kind == "npz":
        return load(str(folder / "a.npz"), unlabelled="keep")
    return load(str(folder / "t.csv"), "price", unlabelled="keep")


KEPT: dict[Callable[[Path], Dataset], int] = {
    csv: ROWS,
    npz: 30,
    several_files: ROWS // 2,
    named_parts: ROWS // 2,
}


@pytest.mark.parametrize("make", KEPT)
def test_rows_without_a_target_are_in_no_part(make: Any, tmp_path: Path) -> None:
    """They are counted, and encoded as other rows are; nothing is fitted to them."""
    data = make(tmp_path)
    split: Any = data.split(0)
    assert split.x_unlabelled.shape == (KEPT[make], data.features)
    assert data.describe().unlabelled == summary_of(data).unlabelled == KEPT[make]
    assert data.rows + KEPT[make] <= 200
    bare = dataclasses.replace(data, unlabelled=None).split(0)
    for name in PARTS:
        np.testing.assert_array_equal(getattr(split, name), getattr(bare, name))
    np.testing.assert_array_equal(split.prepare(split.x_test), bare.prepare(bare.x_test))
    assert data.fingerprint != dataclasses.replace(data, unlabelled=None).fingerprint


def test_a_table_gives_them_the_values_of_its_columns(tmp_path: Path) -> None:
    """Gaps get the training rows' median, and a category that only they have is none."""
    data = csv(tmp_path)
    split: Any = data.split(0)
    names = list(split.feature_names)
    rooms = split.x_unlabelled[:, next(k for k, n in enumerate(names) if n.endswith("rooms"))]
    assert (np.delete(rooms, 4) == 1000).all()
    assert 1 <= rooms[4] < 9
    assert not any("nowhere" in name for name in names)
    colours = [k for k, name in enumerate(names) if "colour" in name]
    assert not split.x_unlabelled[3, colours].any()
    assert split.x_unlabelled[2, colours].sum() == 1


@pytest.mark.parametrize("make", KEPT)
@pytest.mark.parametrize("validation", [True, False])
def test_the_generated_lines_read_them(make: Any, validation: bool, tmp_path: Path) -> None:
    """Executed alone, the lines give exactly the rows that pretrain, and those of all parts."""
    data = make(tmp_path)
    scope: dict[str, Any] = {"seed": 3}
    exec("\n".join(python_lines(data, validation)), scope)
    split: Any = data.split(3) if validation else data.whole()
    parts = [name for name in PARTS if validation or "valid" not in name]
    for name in (*parts, "x_unlabelled"):
        np.testing.assert_array_equal(scope[name], getattr(split, name))


@pytest.mark.parametrize("make", KEPT)
def test_shared_data_has_them(make: Any, tmp_path: Path) -> None:
    """Another machine gets the same rows, and its exported scripts read them."""
    here = make(tmp_path)
    store = FolderStore(tmp_path / "store")
    share(here, store)
    gone = dataclasses.replace(here.describe(), source="/no/such/place.npz", target=None, split={})
    there = obtain(gone, lambda: store, tmp_path / "cache")
    ours: Any = here.split(3)
    theirs: Any = there.split(3)
    np.testing.assert_array_equal(ours.x_unlabelled, theirs.x_unlabelled)
    scope: dict[str, Any] = {"seed": 3}
    exec("\n".join(python_lines(there)), scope)
    np.testing.assert_array_equal(scope["x_unlabelled"], ours.x_unlabelled)


def test_a_worker_reads_what_the_study_keeps(tmp_path: Path) -> None:
    """Whether they are kept is pinned with the data, for tables and archives."""
    for make in (csv, npz):
        for asked in ("keep", "drop"):
            kept = make(tmp_path, asked)
            found = obtain(kept.describe(), lambda: FolderStore(tmp_path), tmp_path)
            assert (found.unlabelled is None) == (asked == "drop")
            assert found.fingerprint == kept.fingerprint
    document = csv(tmp_path).describe().to_json()
    assert DataSpec.from_json(document).unlabelled == document["unlabelled"] == ROWS


def test_the_table_says_what_becomes_of_them(tmp_path: Path) -> None:
    """They are left out unless asked for, with their number either way."""
    left = f"{ROWS} row(s) without a value of 'price' are left out."
    for asked in (None, "drop"):
        assert left in csv(tmp_path, asked).warnings
        assert csv(tmp_path, asked).unlabelled is None
    kept = f"{ROWS} row(s) without a value of 'price' are kept for pretraining."
    assert csv(tmp_path).warnings[0] == kept
    half = f"{ROWS // 2} row(s) without a value of 'price' are"
    assert several_files(tmp_path).warnings[:2] == (
        f"{half} kept for pretraining.",
        f"{half} left out.",
    )


def test_another_request_is_another_study(tmp_path: Path) -> None:
    """A study that keeps them differs from one that does not, in words; replaying says so."""
    kept, left = (StudySpec("s", csv(tmp_path, a).describe(), {}) for a in ("keep", "drop"))
    assert kept.differences(left) == [f"{ROWS} rows without a target are kept here, 0 asked"]
    assert "--unlabelled keep" in replay_command(kept, None)
    assert "--unlabelled" not in replay_command(left, None)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda d: load("wine", unlabelled="keep"), "--unlabelled keep for wine"),
        (lambda d: load("wine", unlabelled="kept"), "--unlabelled kept.* expected keep or drop"),
        (lambda d: npz(d, "keep", x_unlabelled=np.zeros((0, 4))), r"shape \(0, 4\)"),
        (lambda d: npz(d, x_unlabelled=np.zeros((9, 3))), r"shape \(3,\) and of x_train \(4,\)"),
        (lambda d: npz(d, x_unlabelled=np.full((9, 4), np.nan)), "x_unlabelled holds 36 value"),
        (lambda d: npz(d, x_unlabelled=np.full((9, 4), "a")), "x_unlabelled holds <U1"),
        (lambda d: csv(d, plan=SplitPlan(group="rooms")), "--unlabelled keep with --group rooms"),
        (lambda d: csv(d, plan=SplitPlan(time="rooms")), "--unlabelled keep with --time rooms"),
        (full, "every row of t.csv that is trained on has a value of 'price'"),
        (lambda d: full(d, "npz"), "a.npz has no x_unlabelled"),
    ],
)
def test_what_cannot_be_kept_is_refused(make: Any, problem: str, tmp_path: Path) -> None:
    """Each fault is one line."""
    with pytest.raises(RequestError, match=problem) as refused:
        make(tmp_path)
    assert "\n" not in str(refused.value)
