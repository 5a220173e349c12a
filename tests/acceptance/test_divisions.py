"""Rows divided by groups or in time, from launch to export, and on a repeated launch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.shell import Shell, refused
from tests.support.worker_here import concluded
from trainstack.search.data.load import load
from trainstack.search.data.split_plan import SplitPlan
from trainstack.spaces.stack import Stack

pytestmark = [
    *(pytest.mark.acceptance, pytest.mark.keras),
    pytest.mark.usefixtures("requests_here"),
]
ROWS = 300
FLAGS = {"group": ("--group", "who"), "time": ("--time", "when", "--gap", "3d")}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of dated rows in groups, and a list with one stack beside it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["who"] = rng.integers(0, 40, ROWS)
    frame["when"] = pd.date_range("2024-01-01", periods=ROWS, freq="12h").astype(str)
    frame["word"] = rng.choice(["left", "right"], ROWS)
    frame["once"] = "2024-01-31"
    frame["kind"] = np.where(x[:, 0] + rng.normal(0, 0.5, ROWS) > 0, "up", "down")
    path = tmp_path_factory.mktemp("divided") / "rows.csv"
    frame.to_csv(path, index=False)
    frame.rename(columns={"a": "d"}).to_csv(path.with_name("other.csv"), index=False)
    stack = Stack.of(units=[16], activation="relu", batch_size=16)
    (path.parent / "stacks.json").write_text(json.dumps([stack.to_json()]), "utf-8")
    return path


def asked(table: Path, study: str, *flags: str) -> tuple[object, ...]:
    """Return the arguments of the launch of a small study of the table."""
    return (
        *(table, "--target", "kind", "--study", study, *flags),
        *("--stacks", table.parent / "stacks.json", "--seed", "4"),
        *("--epochs", "3", "--replicates", "1", "--folds", "1", "--no-yardstick", "--no-models"),
    )


@pytest.mark.parametrize("kind", FLAGS)
def test_a_study_follows_its_division_to_the_exported_script(
    kind: str, shell: Shell, table: Path, tmp_path: Path
) -> None:
    """The study ends, replays bit by bit, and its script loads the product's parts."""
    concluded(shell, *asked(table, kind, *FLAGS[kind]))
    trial = shell.json("trials", kind)[0]["number"]
    replayed = shell.within("replay", kind, trial)
    assert replayed.returncode == 0, replayed.stderr
    script = tmp_path / "train.py"
    done = shell.within("export", kind, "--format", "python", "--model", "single", "-o", script)
    assert done.returncode == 0, done.stderr
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(script.read_text("utf-8"), "train.py", "exec"), names)
    plan = {"group": SplitPlan(group="who"), "time": SplitPlan(time="when", gap="3d")}[kind]
    ours = load(str(table), "kind", plan=plan).split(9)
    theirs = names["load_data"](9)
    for name, array in zip(("x_train", "y_train", "x_valid"), theirs, strict=False):
        np.testing.assert_array_equal(getattr(ours, name), array)
    other = asked(table, kind, *FLAGS["time" if kind == "group" else "group"])
    assert "rows are divided with --g" in refused(shell.within("launch", *other, "--detach"), 4)


# Flags → a word of the line.
BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "the target": (("--group", "kind"), "--group names the target 'kind'"),
    "no time": (("--time", "word"), "the time 'word' of rows.csv holds text such as 'left'"),
    "one time": (("--time", "once"), "the time 'once' is 2024-01-31 in every row"),
    "other columns": (("--test", "other.csv"), "other.csv has other columns than rows.csv"),
    "no gap": (("--gap", "3d"), "--gap 3d without --time"),
    "two divisions": (("--group", "who", "--time", "when"), "--group with --time"),
    "no part": (("--part", "who"), "the part 'who' holds"),
    "no file": (("--test", "later.csv"), "there is no file"),
    "itself": (("--test", "rows.csv"), "--test rows.csv is given twice"),
}


@pytest.mark.parametrize("fault", BAD)
@pytest.mark.parametrize("verb", ["launch", "data", "claims", "range-test"])
def test_a_division_that_cannot_be_is_one_line(
    fault: str, verb: str, table: Path, fresh_home: Path
) -> None:
    """Every verb that reads data exits 2 with one line, before anything is created."""
    flags, word = BAD[fault]
    done = Shell(fresh_home).within(verb, table, "--target", "kind", *flags, cwd=table.parent)
    assert word in refused(done, 2)
    assert not fresh_home.exists()
