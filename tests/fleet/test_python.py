"""Studies from a program, with trainers that simulate training."""

from __future__ import annotations

import _thread
import logging
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import trainstack
from tests.support.shell import Shell
from trainstack.search.database.connection import connected
from trainstack.search.python.study import Study
from trainstack.search.queue import queries
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.space import Space

pytestmark = [pytest.mark.fleet, pytest.mark.process]

SMALL: dict[str, Any] = {
    **{"trials": 3, "epochs": 2, "replicates": 1, "folds": 1, "workers": 1, "space": "quick"},
    "yardstick": False,
}


def table(seed: int) -> pd.DataFrame:
    """Return a table of 60 rows with two classes."""
    x = np.random.default_rng(seed).normal(size=(60, 2))
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "kind": np.where(x[:, 0] > 0, "up", "down")})


def missed(y: Any, p: Any, w: Any) -> float:
    """Return the share of rows whose class is not the most probable one."""
    return np.average(p.argmax(axis=1) != y, weights=w)


def alive(y: Any, p: Any, w: Any) -> Any:
    """Use a function of this module, which no other process has."""
    return live(y, p)


def live(shell: Shell, monkeypatch: pytest.MonkeyPatch, **canned: Any) -> None:
    """Let this process's launches use the shell's home and canned trainers."""
    for name, value in shell.canned(**canned).environment.items():
        monkeypatch.setenv(name, value)


def test_a_launch_leaves_the_program_alone(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A study runs to its end without a word; handlers of signals stay, the log has the lines."""
    live(shell, monkeypatch)
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with caplog.at_level(logging.INFO, "trainstack"):
        study = trainstack.launch(table(0), target="kind", study="alone", **SMALL)
    after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert before == after
    assert capfd.readouterr() == ("", "")
    assert "new study 'alone'" in caplog.messages
    status = study.status()
    assert status.concluded
    assert sum(status.counts[k] for k in ("completed", "pruned", "diverged", "infeasible")) == 3
    trials, runs = study.trials(), study.runs()
    assert trials["number"].tolist() == [0, 1, 2]
    assert {"value", "curve", "stack.optimizer", "metrics.accuracy"} <= {*trials.columns}
    assert len(runs) == sum(status.confirmation[k] for k in ("completed", "pruned"))
    assert [s.name for s in trainstack.studies()].count("alone") == 1
    assert trainstack.open_study("alone") == study
    study.watch()
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("concluded: ")


def test_two_threads_launch_two_studies(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies launched at once from two threads spend their budgets exactly."""
    live(shell, monkeypatch)

    def run(seed: int) -> Study:
        return trainstack.launch(table(seed), target="kind", study=f"thread {seed}", **SMALL)

    with ThreadPoolExecutor(2) as threads:
        for study in threads.map(run, (1, 2)):
            counts = study.status().counts
            assert sum(counts[k] for k in ("completed", "pruned", "diverged", "infeasible")) == 3
            assert counts["running"] == counts["waiting"] == 0


def test_ctrl_c_gives_trials_back(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """KeyboardInterrupt is raised on when the running trial is back in the queue."""
    live(shell, monkeypatch, hold=str(tmp_path / "never"))
    study = trainstack.launch(table(3), target="kind", study="held", detach=True, **SMALL)

    def interrupt() -> None:
        while not study.status().counts["running"]:
            started.wait(0.1)
        _thread.interrupt_main()

    started = threading.Event()
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        trainstack.launch(table(3), target="kind", study="held", **SMALL)
    counts = study.status().counts
    assert counts["running"] == 0
    assert counts["waiting"] >= 1
    assert study.status().state == "searching"


def test_objects_of_a_program(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames for testing, spaces and stacks are given as objects, and are in the study's spec."""
    live(shell, monkeypatch)
    space = trainstack.Space.named("quick").with_axis("batch_size", 16)
    stacks = [trainstack.Stack.of(activation="relu"), "chapter-default"]
    asked = {**SMALL, "space": space, "stacks": stacks, "test": table(7)}
    study = trainstack.launch(
        table(6), target="kind", study="objects", drop=["b"], detach=True, **asked
    )
    with connected(study.url) as here:
        spec = queries.spec_of(here, "objects")
    assert Space.from_json(spec.space) == space
    assert list(spec.stacks) == [stacks[0], CHAPTER_DEFAULT]
    assert list(spec.data.overrules["drop"]) == ["b"]
    assert spec.data.rows == 120
    assert repr(study) == "Study('objects')"


def test_steering(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The methods of a study do what the verbs do, and refuse what these refuse."""
    live(shell, monkeypatch)
    study = trainstack.launch(
        table(4), target="kind", study="steered-from-python", detach=True, **SMALL
    )
    assert study.status().counts["running"] == 0
    study.pause()
    assert study.status().state == "paused"
    study.resume()
    assert study.status().state == "searching"
    with pytest.raises(trainstack.TrainstackError, match="is searching; expected a concluded"):
        _ = study.recommendation
    with pytest.raises(trainstack.TrainstackError, match="has no finished trial yet"):
        study.conclude()
    with pytest.raises(trainstack.TrainstackError, match="no trial 7"):
        study.void(7, "a test")
    study.cancel()
    assert study.status().state == "stopped"


def test_deletion(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deleted study is gone with its files; a frame stays while another study uses it."""
    live(shell, monkeypatch)
    first = trainstack.launch(table(8), target="kind", study="given-frame", **SMALL)
    other = trainstack.launch(table(8), target="kind", study="same-frame", detach=True, **SMALL)
    with connected(first.url) as here:
        source = Path(queries.spec_of(here, "same-frame").data.source)
    logs = shell.home / "logs" / "given-frame"
    report = shell.home / "artifacts" / "given-frame" / "report"
    assert logs.is_dir()
    assert (report / "report.html").is_file()
    first.delete()
    with pytest.raises(trainstack.TrainstackError, match="no study 'given-frame'"):
        first.status()
    assert not logs.exists()
    assert not report.exists()
    assert other.status().state == "searching"
    assert source.is_file()
    other.delete()
    assert not source.exists()
    again = trainstack.launch(table(8), target="kind", study="given-frame", detach=True, **SMALL)
    assert again.status().counts["completed"] == 0
    with pytest.raises(trainstack.TrainstackError, match="no study 'same-frame'"):
        other.delete()


def test_a_metric_of_the_program(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function is the study's metric, with its code in the spec."""
    live(shell, monkeypatch)
    asked = {**SMALL, "metric": missed, "detach": True}
    study = trainstack.launch(table(9), target="kind", study="own-metric", **asked)
    with connected(study.url) as here:
        own = queries.spec_of(here, "own-metric").own_metric
    assert own is not None
    assert own.function == "missed"
    assert own.value(np.array([0, 1]), np.eye(2), np.ones(2)) == 0.0
    with pytest.raises(trainstack.TrainstackError, match="uses 'live', which is of this program"):
        trainstack.launch(table(9), target="kind", study="other", **{**asked, "metric": alive})


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"trails": 1}, "RequestError", "did you mean 'trials'"),
        ({"trials": 0}, "RequestError", "^trials 0; expected a whole number from 1"),
        ({"target": "nix"}, "RequestError", "has no column 'nix'"),
        ({"trials": 4}, "StudyError", "exists with another request"),
        ({"storage": "mysql://x"}, "RequestError", "storage of kind 'mysql'"),
    ],
)
def test_errors_are_of_one_tree(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    kind: str,
    message: str,
) -> None:
    """Each error of a user's is a TrainstackError of the kind that the exit code tells."""
    live(shell, monkeypatch)
    asked = {"target": "kind", "study": "errors", "detach": True, **SMALL}
    if kind == "StudyError":
        trainstack.launch(table(5), **asked)
    with pytest.raises(trainstack.TrainstackError, match=message) as error:
        trainstack.launch(table(5), **{**asked, **options})
    assert type(error.value).__name__ == kind
