"""`--track` with a real MLflow server that goes away and comes back."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.mlflow_server import Server, runs_of, server_in
from tests.support.shell import Launched, Shell, refused
from tests.support.worker_here import concluded

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]

# Folders of a study's artifacts in MLflow.
KINDS = ("model", "report")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the module, started by the tests."""
    with server_in(tmp_path_factory.mktemp("mlflow")) as made:
        yield made


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
    _until(lambda: len(runs_of(client, "tracked")) > 2)
    server.kill()
    ended = _ended(canned)
    _until(lambda: _ended(canned) > ended or process.poll() is not None)
    server.start()
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    if "does not have the whole study" in errors:  # the end came before the next attempt
        done = canned.run("track", "tracked", f"mlflow={server.uri}", timeout=600)
        assert done.returncode == 0, done.stderr
    found = runs_of(client, "tracked")
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


@pytest.mark.timeout(600)
def test_mlflow_has_the_model_and_the_report(
    digits: Launched, server: Server, tmp_path: Path
) -> None:
    """The model downloaded from MLflow predicts, and the report is the command's."""
    from mlflow import MlflowClient

    server.start()
    shell, client = digits.shell, MlflowClient(tracking_uri=server.uri)
    done = shell.run("track", "digits", f"mlflow={server.uri}", timeout=400)
    assert done.returncode == 0, done.stderr
    run = runs_of(client, "digits")["study"].info.run_id
    model, report = (Path(client.download_artifacts(run, kind, str(tmp_path))) for kind in KINDS)
    document = json.loads((report / "recommendation.json").read_text("utf-8"))
    assert document == shell.json("recommend", "digits")
    page = html.unescape((report / "report.html").read_text("utf-8"))
    assert document["sentence"] in page
    assert "plotly" in page
    loaded: Any = keras.saving.load_model(model / "model.keras")
    found = loaded.predict(np.zeros((3, 64)), verbose=0)
    assert found.shape == (3, 10)
    assert found.sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-4)


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
    concluded(canned, "wine", "--study", "kept", *quick)
    line = refused(shell.within("track", "kept", "mlflow=http://me:secret@127.0.0.1:9"), 2)
    assert "secret" not in line
    assert "cannot be reached" in line


def _ended(shell: Shell) -> int:
    return sum(row["outcome"] == "completed" for row in shell.json("trials", "tracked"))


def _until(true: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.3)
