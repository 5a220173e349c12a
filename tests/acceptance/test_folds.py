"""One study on folds, from launch to replay, and claims on folds."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.shell import Shell, refused
from tests.support.worker_here import concluded
from trainstack.search.data.load import load
from trainstack.search.data.split_plan import SplitPlan
from trainstack.search.evidence.planned_run import confirmation_seed
from trainstack.spaces.stack import Stack

pytestmark = [
    *(pytest.mark.acceptance, pytest.mark.keras),
    pytest.mark.usefixtures("workers_here"),
]
LAUNCH = (
    *("launch", "wine", "--study", "folds", "--trials", "9", "--epochs", "2"),
    *("--replicates", "3", "--workers", "1", "--space", "quick", "--no-yardstick", "--no-models"),
)


@pytest.fixture(scope="module")
def trials(shell: Shell) -> list[dict[str, Any]]:
    """The search trials of a finished study on three folds."""
    concluded(shell, *LAUNCH[1:], "--folds", "3")
    said = shell.within("recommend", "folds").stdout
    assert " ".join(said.split()).count("the mean over 3 folds") == 1
    found: list[dict[str, Any]] = shell.json("trials", "folds")
    return found


def test_a_trials_value_is_the_mean_over_its_folds(
    trials: list[dict[str, Any]], shell: Shell
) -> None:
    """Trials list each fold's objective; a run of the confirmation has one fold and lists none."""
    completed = [trial for trial in trials if trial["outcome"] == "completed"]
    assert completed
    for trial in completed:
        assert len(trial["folds"]) == 3
        assert trial["value"] == pytest.approx(fmean(trial["folds"]))
    status = shell.json("status", "folds")
    assert (status["folds"], status["repeats"], status["budget"]["trials"]) == (3, 1, len(trials))
    runs = shell.json("trials", "folds", "--confirmation")
    assert {run["seed_index"] for run in runs} >= {0, 1, 2}
    assert all(run["folds"] == [] for run in runs)


def test_trials_and_runs_on_folds_replay(trials: list[dict[str, Any]], shell: Shell) -> None:
    """A completed trial, a pruned one and a confirmation run give the recorded numbers again."""
    by_outcome = {trial["outcome"]: trial["number"] for trial in trials}
    asked = [[by_outcome["completed"]], [by_outcome["pruned"]], [1, "--confirmation"]]
    for words in asked:
        again = shell.json("replay", "folds", *words)
        assert again["same"] is True, again
        assert len(again["again"]["folds"]) == len(again["recorded"]["folds"])


def test_a_repeated_launch_keeps_its_folds_or_is_refused(
    trials: list[dict[str, Any]], shell: Shell
) -> None:
    """Without the flag it resumes; with another number one line names the difference."""
    again = shell.within(*LAUNCH)
    assert again.returncode == 0, again.stderr
    other = shell.within(*LAUNCH, "--folds", "4", "--detach")
    line = "a trial is scored by the mean over 3 folds here, by the mean over 4 folds asked"
    assert line in refused(other, 4)


@pytest.mark.parametrize("kind", ["group", "time"])
def test_groups_and_times_are_divided_into_folds(kind: str, shell: Shell, tmp_path: Path) -> None:
    """The study concludes, no group is in two parts of a fold, and training rows are earlier."""
    rng, path = np.random.default_rng(0), tmp_path / "rows.csv"
    frame = pd.DataFrame(rng.normal(size=(120, 2)), columns=["a", "b"])
    frame["who"], frame["day"] = rng.integers(0, 12, 120), rng.permutation(120)
    frame["kind"] = np.where(frame["a"] > 0, "up", "down")
    frame.to_csv(path, index=False)
    stacks = [Stack.of(units=[units], batch_size=16).to_json() for units in (4, 8)]
    (tmp_path / "stacks.json").write_text(json.dumps(stacks), "utf-8")
    column, study = {"group": "who", "time": "day"}[kind], f"folds by {kind}"
    concluded(
        *(shell, path, "--target", "kind", f"--{kind}", column, "--study", study),
        *("--stacks", tmp_path / "stacks.json", "--folds", "2", "--epochs", "2"),
        *("--replicates", "1", "--no-yardstick", "--no-models"),
    )
    assert shell.json("status", study)["concluded"]
    completed = ("trials", study, "--outcome", "completed")
    assert {len(trial["folds"]) for trial in shell.json(*completed)} == {2}
    plan = SplitPlan(group=column) if kind == "group" else SplitPlan(time=column)
    data = load(str(path), "kind", plan=plan)
    for seed in (0, confirmation_seed(0, 0)):
        for rows in data.division.folds(2, 1, seed):
            learnt, held = (frame[column].iloc[rows[part]] for part in ("train", "valid"))
            assert set(learnt).isdisjoint(held)
            assert kind == "group" or max(learnt) < min(held)


def test_claims_on_folds_pair_fold_by_fold(shell: Shell) -> None:
    """The two runs of a pair have the same fold of the same division."""
    done = shell.canned().within(
        *("claims", "digits", "--claim", "C1", "--study", "claimed", "--folds", "3"),
        *("--epochs", "2", "--replicates", "4", "--workers", "1"),
    )
    assert done.returncode == 0, done.stderr
    splits: dict[int, set[tuple[float, float]]] = {}
    for run in shell.json("trials", "claimed", "--confirmation"):
        split = run["metrics"]["split_seed"], run["metrics"]["fold"]
        splits.setdefault(run["seed_index"], set()).add(split)
    assert {len(found) for found in splits.values()} == {1}
    assert {fold for found in splits.values() for _, fold in found} == {0.0, 1.0, 2.0}
