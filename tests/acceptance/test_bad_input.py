"""Wrong input: one line on standard error, the right exit code, and no files or processes left."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.shell import Shell, refused
from trainstack.spaces.references import REFERENCES

pytestmark = pytest.mark.acceptance

UNREACHABLE = "postgresql://someone:hunter2@127.0.0.1:9/nowhere"


def _file(name: str, content: bytes | str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)

    return write


def _npz(**changed: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        rng = np.random.default_rng(0)
        arrays = {"x_train": rng.normal(size=(60, 4)), "y_train": np.arange(60) % 3, **changed}
        np.savez(folder / "a.npz", **{k: np.asarray(v) for k, v in arrays.items()})

    return write


def _csv(**changed: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({"a": rng.normal(size=3000), "price": rng.normal(size=3000)})
        frame.assign(**changed).to_csv(folder / "t.csv", index=False)

    return write


def _holed(value: float) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(60, 4))
    x[7, 2] = value
    return x


REFERENCE = REFERENCES["chapter-default"].to_json()
NAMES = [f"id{max(k, 4)}" for k in range(3000)]
SPACE = {"name": "mine", "axes": {"activation": {"rleu": {}}}}
NOTHING = _file("unused", "")

# Request → (required files, arguments, a word of the line)
CASES: dict[str, tuple[Callable[[Path], None], list[str], str]] = {
    # The data.
    "unknown data set": (NOTHING, ["digit"], "did you mean 'digits'"),
    "missing file": (NOTHING, ["no.csv", "--target", "a"], "no file"),
    "missing folder": (NOTHING, ["no/such"], "no file"),
    "empty csv": (_file("t.csv", ""), ["t.csv", "--target", "a"], "empty"),
    "empty npz": (_file("a.npz", ""), ["a.npz"], "empty"),
    "folder as a file": (lambda p: (p / "d.csv").mkdir(), ["d.csv"], "IDX"),
    "empty folder": (lambda p: (p / "d").mkdir(), ["d"], "IDX"),
    "no such target": (_csv(), ["t.csv", "--target", "prise"], "did you mean 'price'"),
    "no target": (_csv(), ["t.csv"], "--target"),
    "target on npz": (_npz(), ["a.npz", "--target", "y"], "--target"),
    "target on a name": (NOTHING, ["digits", "--target", "y"], "--target"),
    "no features but free text": (
        _csv(a=NAMES),
        ["t.csv", "--target", "price"],
        "no usable column beside 'price'; expected features; --keep COLUMN",
    ),
    "no such column": (
        _csv(),
        ["t.csv", "--target", "price", "--drop", "b"],
        "no column 'b'; expected a column for --drop",
    ),
    "flags that contradict": (
        _csv(),
        ["t.csv", "--target", "price", "--drop", "a", "--keep", "a"],
        "--drop and --keep both name 'a'; expected one of them",
    ),
    "columns of a name": (NOTHING, ["digits", "--numeric", "a"], "--numeric a for digits"),
    "NaN": (_npz(x_train=_holed(np.nan)), ["a.npz"], "row 7, feature 2"),
    "infinity": (_npz(x_train=_holed(np.inf)), ["a.npz"], "row 7, feature 2"),
    "lengths": (_npz(y_train=np.arange(59) % 3), ["a.npz"], "59"),
    "single class": (_npz(y_train=np.zeros(60, int)), ["a.npz"], "single class"),
    "too few rows": (_npz(x_train=np.eye(9), y_train=np.arange(9) % 3), ["a.npz"], "9 rows"),
    "labels from 1": (_npz(y_train=np.arange(60) % 3 + 1), ["a.npz"], "0 to K-1"),
    "labels with a gap": (_npz(y_train=np.arange(60) % 3 * 2), ["a.npz"], "without 1"),
    "pickled objects": (_npz(x_train=np.array([{}] * 60)), ["a.npz"], "pickled"),
    "junk as npz": (_file("a.npz", os.urandom(999)), ["a.npz"], ".npz archive"),
    "junk as csv": (_file("t.csv", bytes(range(256))), ["t.csv", "--target", "a"], "CSV"),
    "junk as parquet": (_file("t.parquet", os.urandom(99)), ["t.parquet", "--target", "a"], "Parq"),
    "unknown ending": (_file("t.xlsx", "x"), ["t.xlsx"], "'.xlsx'"),
    "text as regression": (
        _csv(price=["x", "y", "z"] * 1000),
        ["t.csv", "--target", "price", "--task", "regression"],
        "numbers",
    ),
    "images that are not here": (NOTHING, ["mnist"], "looked in"),
    # The flags.
    "no trials": (NOTHING, ["digits", "--trials", "0"], "--trials 0"),
    "huge trials": (NOTHING, ["digits", "--trials", "9" * 30], "--trials"),
    "negative epochs": (NOTHING, ["digits", "--epochs", "-1"], "--epochs -1"),
    "half a trial": (NOTHING, ["digits", "--trials", "1.5"], "--trials"),
    "text as trials": (NOTHING, ["digits", "--trials", "many"], "--trials"),
    "negative workers": (NOTHING, ["digits", "--workers", "-2"], "--workers -2"),
    "negative replicates": (NOTHING, ["digits", "--replicates", "-1"], "--replicates -1"),
    "negative seed": (NOTHING, ["digits", "--seed", "-1"], "--seed -1"),
    "timeout": (NOTHING, ["digits", "--timeout", "soon"], "--timeout 'soon'"),
    "timeout of ages": (NOTHING, ["digits", "--timeout", "9" * 40 + "h"], "at most a year"),
    "unknown sampler": (NOTHING, ["digits", "--sampler", "tpee"], "did you mean 'tpe'"),
    "unknown pruner": (NOTHING, ["digits", "--pruner", "ashaa"], "did you mean 'asha'"),
    "unknown profile": (NOTHING, ["digits", "--profile", "sparce"], "did you mean 'sparse'"),
    "unknown task": (NOTHING, ["digits", "--task", "cluster"], "--task"),
    "wrong task": (NOTHING, ["digits", "--task", "regression"], "classification"),
    "unknown flag": (NOTHING, ["digits", "--trails", "3"], "--trails"),
    "no data": (NOTHING, [], "'data'"),
    # Names.
    "name that leads upwards": (NOTHING, ["digits", "--study", ".."], "study name"),
    "empty name": (NOTHING, ["digits", "--study", ""], "study name"),
    "name with a slash": (NOTHING, ["digits", "--study", "../x"], "study name"),
    "endless name": (NOTHING, ["digits", "--study", "x" * 101], "study name"),
    "name with a newline": (NOTHING, ["digits", "--study", "a\nb"], "study name"),
    "name that is no text": (NOTHING, ["digits", "--study", os.fsdecode(b"\xff")], "UTF-8"),
    # Files beside the data.
    "unknown space": (NOTHING, ["digits", "--space", "quik"], "did you mean 'quick'"),
    "no space file": (NOTHING, ["digits", "--space", "mine.json"], "mine.json"),
    "space file is a folder": (
        lambda p: (p / "s.json").mkdir(),
        ["digits", "--space", "s.json"],
        "",
    ),
    "space is no JSON": (_file("s.json", "{"), ["digits", "--space", "s.json"], "s.json"),
    "space is junk": (_file("s.json", os.urandom(99)), ["digits", "--space", "s.json"], "s.json"),
    "space is wrong": (_file("s.json", json.dumps(SPACE)), ["digits", "--space", "s.json"], "axes"),
    "space is a number": (_file("s.json", "3"), ["digits", "--space", "s.json"], ""),
    "no stacks file": (NOTHING, ["digits", "--stacks", "no.json"], "no.json"),
    "stacks is a folder": (lambda p: (p / "s").mkdir(), ["digits", "--stacks", "s"], "directory"),
    "stacks is no JSON": (_file("s.json", "nope"), ["digits", "--stacks", "s.json"], "JSON"),
    "stacks is junk": (_file("s.json", b"\xff\xfe\0"), ["digits", "--stacks", "s.json"], "JSON"),
    "stacks is empty": (_file("s.json", "[]"), ["digits", "--stacks", "s.json"], "list"),
    "unknown reference": (
        _file("s.json", '["chap"]'),
        ["digits", "--stacks", "s.json"],
        "stacks[0]",
    ),
    "stack lacks keys": (
        _file("s.json", '[{"units": [3]}]'),
        ["digits", "--stacks", "s.json"],
        "lacks",
    ),
    "infinite batches": (
        _file("s.json", json.dumps([REFERENCE]).replace(": 32", ": 1e999")),
        ["digits", "--stacks", "s.json"],
        "batch_size",
    ),
    "space nested deep": (_file("s.json", "[" * 100_000), ["digits", "--space", "s.json"], "JSON"),
    "stack is a number": (_file("s.json", "[3]"), ["digits", "--stacks", "s.json"], "stacks[0]"),
    "stacks nested deep": (
        _file("s.json", "[" * 100_000),
        ["digits", "--stacks", "s.json"],
        "JSON",
    ),
    # The storage: refused by its form, before any connection.
    "storage of another kind": (NOTHING, ["digits", "--storage", "sqlite:///x.db"], "PostgreSQL"),
    "storage that is no URL": (NOTHING, ["digits", "--storage", "here"], "PostgreSQL"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_launch_is_one_line_and_leaves_nothing(
    name: str, tmp_path: Path, fresh_home: Path
) -> None:
    """The line names the error, the exit code is 2, and no database is started."""
    make, arguments, word = CASES[name]
    make(tmp_path)
    here = Shell(fresh_home, {"KERAS_HOME": str(tmp_path), "TRAINSTACK_DATA": str(tmp_path)})
    line = refused(here.within("launch", *arguments, cwd=tmp_path), 2)
    assert word in line
    assert not fresh_home.exists()


# Verbs about one study.
VERBS = {
    "status": ["status", "nowhere"],
    "trials": ["trials", "nowhere"],
    "recommend": ["recommend", "nowhere"],
    "report": ["report", "nowhere", "-o", "r"],
    "export": ["export", "nowhere", "--format", "json", "-o", "s.json"],
    "worker": ["worker", "nowhere", "--start-timeout", "0"],
    "pause": ["pause", "nowhere"],
    "resume": ["resume", "nowhere"],
    "stop": ["stop", "nowhere"],
    "cancel": ["cancel", "nowhere"],
    "void": ["void", "nowhere", "3", "--reason", "noise"],
    "watch": ["watch", "nowhere"],
    "logs": ["logs", "nowhere"],
    "workers": ["workers", "nowhere"],
    "set": ["set", "nowhere", "trials=9"],
    "replay": ["replay", "nowhere", "3"],
    "dashboard": ["dashboard", "nowhere", "--port", "0"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_study_is_refused(verb: str, shell: Shell, tmp_path: Path) -> None:
    """Every verb that needs a study exits 4 with one line if there is none."""
    line = refused(shell.within(*VERBS[verb], cwd=tmp_path), 4)
    assert "'nowhere'" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_storage_out_of_reach_is_reported_at_once(verb: str, tmp_path: Path) -> None:
    """Every verb exits 3 with one line that does not contain the password."""
    away = Shell(tmp_path / "home", {"TRAINSTACK_STORAGE": UNREACHABLE})
    line = refused(away.within(*VERBS[verb], cwd=tmp_path), 3)
    assert "127.0.0.1:9" in line
    assert "hunter2" not in line


def test_a_launch_without_storage_starts_nothing(tmp_path: Path) -> None:
    """`launch` on an unreachable database exits 3 and leaves no worker."""
    away = Shell(tmp_path / "home")
    done = away.run("launch", "digits", "--storage", UNREACHABLE, timeout=60)
    assert "hunter2" not in refused(done, 3)
    assert not (tmp_path / "home" / "logs").exists()


# Other verbs' flags and arguments, and a word of the line.
SLIPS = {
    "unknown verb": (["lunch"], "lunch"),
    "unknown space": (["space", "show", "chaptre"], "did you mean 'chapter'"),
    "no file to check": (["space", "check", "no.json"], "no.json"),
    "unknown format": (["export", "x", "--format", "onnx", "-o", "x"], "--format"),
    "no format": (["export", "x", "-o", "x"], "--format"),
    "count": (["worker", "x", "--count", "0"], "--count 0"),
    "max trials": (["worker", "x", "--max-trials", "0"], "--max-trials 0"),
    "drain": (["worker", "x", "--drain-timeout", "nan"], "--drain-timeout"),
    "void without a reason": (["void", "x", "3"], "--reason"),
    "void with an empty reason": (["void", "x", "3", "--reason", " "], "why the trial is spoilt"),
    "void of a negative trial": (["void", "x", "--reason", "y", "--", "-3"], "'trial'"),
    "void of a huge trial": (["void", "x", "9" * 12, "--reason", "y"], "'trial'"),
    "port": (["dashboard", "--port", "99999"], "--port"),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_on_the_command_line_is_one_line(name: str, fresh_home: Path) -> None:
    """A wrong word, flag or number exits 2 with one line before any database is started."""
    arguments, word = SLIPS[name]
    assert word in refused(Shell(fresh_home).within(*arguments), 2)
    assert not fresh_home.exists()


def test_a_gpu_that_is_not_here_is_refused(shell: Shell) -> None:
    """`--gpus 77` lists the available GPUs; an unreadable list states the expected form."""
    done = shell.within("launch", "digits", "--detach", "--study", "gpus", "--space", "quick")
    assert done.returncode == 0
    assert "--gpus 77" in refused(shell.within("worker", "gpus", "--gpus", "77"), 2)
    assert "all, none" in refused(shell.within("worker", "gpus", "--gpus", "x,y"), 2)


@pytest.mark.parametrize("home", ["/dev/null/x", "/proc/nothing/x"])
def test_a_home_that_cannot_be_written_is_one_line(home: str) -> None:
    """If the embedded database cannot be created, the line names the folder and TRAINSTACK_HOME."""
    line = refused(Shell(Path(home)).run("status"), 2)
    assert "TRAINSTACK_HOME" in line


def test_more_workers_than_cores_is_a_warning(shell: Shell) -> None:
    """`--workers 99` warns and continues."""
    done = shell.within("launch", "digits", "--study", "many", "--workers", "99", "--detach")
    assert done.returncode == 0, done.stderr
    warning, new, plans = done.stderr.splitlines()
    assert "99 workers share" in warning
    assert new == "new study 'many'"
    assert plans.startswith("plans of at most ")


def test_every_problem_of_a_space_file_gets_a_line(shell: Shell, tmp_path: Path) -> None:
    """`space check` prints one line per problem with its path, and exits 2."""
    (tmp_path / "s.json").write_text(json.dumps({**SPACE, "colour": 1}), "utf-8")
    done = shell.within("space", "check", tmp_path / "s.json")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) > 2
    assert all(line.startswith("trainstack: ") for line in lines)
    assert any("colour" in line for line in lines)
    assert any("rleu" in line for line in lines)
