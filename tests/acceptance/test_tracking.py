"""`--track` with a real MLflow server that goes away and comes back."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.shell import Shell, refused

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]


class Server:
    """An MLflow server with its store in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.uri, self._folder = f"http://127.0.0.1:{port}", folder
        store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        store += ["--artifacts-destination", str(folder / "artifacts")]
        place = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        self._command = [sys.executable, "-m", "mlflow", "server", *store, *place]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """Kill it with all its processes."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that is not started."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Server(tmp_path, port)
    yield made
    made.kill()


@pytest.mark.timeout(900)
def test_mlflow_has_the_whole_study_although_it_was_away(shell: Shell, server: Server) -> None:
    """All trials of a study of 40 are there in the end: parameters, curves and report.

    The server is killed half-way, and back before the end.
    """
    from mlflow import MlflowClient

    server.start()
    client = MlflowClient(tracking_uri=server.uri)
    canned = shell.canned(epoch_seconds=0.1)
    quick = ("--epochs", "4", "--folds", "1", "--replicates", "1", "--no-yardstick")
    process = canned.start(
        *("launch", "digits", "--study", "tracked", "--trials", "40", "--workers", "1"),
        *("--pruner", "none", "--track", f"mlflow={server.uri}", *quick),
    )
    _until(lambda: len(_runs(client, "tracked")) > 2)
    server.kill()
    ended = _ended(canned)
    _until(lambda: _ended(canned) > ended or process.poll() is not None)
    server.start()
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    if "does not have the whole study" in errors:  # the end came before the next attempt
        done = canned.run("track", "tracked", f"mlflow={server.uri}", timeout=600)
        assert done.returncode == 0, done.stderr
    found = _runs(client, "tracked")
    trials = canned.json("trials", "tracked")
    confirmations = canned.json("trials", "tracked", "--confirmation")
    assert len(found) == 1 + len(trials) + len(confirmations)
    assert len(trials) == 40
    for row in trials:
        run = found[f"trial {row['number']}"]
        assert run.data.tags["outcome"] == row["outcome"]
        assert run.data.params == {k: str(v) for k, v in row["stack"].items()}
        history = client.get_metric_history(run.info.run_id, "valid_loss")
        curve = {point.step: point.value for point in history}
        assert list(curve.values()) == pytest.approx(row["curve"])
        assert list(curve) == list(range(1, row["epochs"] + 1))
    study = found["study"]
    recommended = canned.json("recommend", "tracked")
    loss = recommended["validation"]["loss"]["mean"]
    assert study.data.metrics["validation_loss"] == pytest.approx(loss)
    files = {entry.path for entry in client.list_artifacts(study.info.run_id, "report")}
    assert {"report/report.html", "report/recommendation.json"} <= files


def test_what_cannot_be_tracked_is_refused_before_anything_starts(shell: Shell) -> None:
    """A misspelt tracker, and a tracker of a command that returns at once, exit 2 in one line."""
    refused(shell.within("launch", "wine", "--track", "mlfow=x"), 2)
    line = refused(shell.within("launch", "wine", "--detach", "--track", "tensorboard=x"), 2)
    assert "trainstack track" in line
    refused(shell.within("track", "nosuch", "tensorboard=x"), 4)


def test_a_tracker_that_is_away_is_one_line(shell: Shell) -> None:
    """`track` says that the tracker cannot be reached, and exits 2."""
    canned = shell.canned(epoch_seconds=0.0)
    quick = ("--trials", "1", "--epochs", "1", "--folds", "1", "--replicates", "0")
    done = canned.run("launch", "wine", "--study", "kept", "--workers", "1", *quick)
    assert done.returncode == 0, done.stderr
    line = refused(shell.run("track", "kept", "mlflow=http://me:secret@127.0.0.1:9"), 2)
    assert "secret" not in line
    assert "cannot be reached" in line


def _ended(shell: Shell) -> int:
    return sum(row["outcome"] == "completed" for row in shell.json("trials", "tracked"))


def _runs(client: Any, study: str) -> dict[str, Any]:
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        return {}
    found = client.search_runs([experiment.experiment_id])
    return {run.data.tags["trainstack.key"]: run for run in found}


def _until(true: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.3)
