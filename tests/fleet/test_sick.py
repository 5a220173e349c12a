"""Insufficient memory, workers that fail every trial, and full disks."""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.support.fleet import PATIENCE_SECONDS, Fleet
from trainstack.search.data.load import load
from trainstack.search.data_spec import DataSpec
from trainstack.search.queue import history, queries
from trainstack.spaces.references import REFERENCES
from trainstack.spaces.stack import Stack

pytestmark = [pytest.mark.fleet, pytest.mark.postgres]


def digits() -> DataSpec:
    """Return real data available without a download."""
    found = load("digits", None, "auto")
    classes = tuple(str(name) for name in range(10))
    return DataSpec("digits", None, "classification", found.fingerprint, 64, classes)


def test_memory_moves_elsewhere(fleet: Fleet) -> None:
    """Trials that exceed a worker's memory are tried once more by another one."""
    fleet.create(trials=4, epochs=2)
    hold = fleet.folder / "hold"
    fleet.join(hold=str(hold))
    fleet.until(lambda status: status["counts"]["running"])
    fleet.join(fault="memory")
    fleet.until(lambda status: status["counts"]["waiting"] == 3)
    hold.touch()
    counts = fleet.concluded()["counts"]
    assert (counts["completed"], counts["retried"]) == (4, 3)
    moved = next(t["number"] for t in fleet.trials() if t["attempt"] == 2)
    attempts = history.attempts_at(fleet.engine, "s", moved)
    assert attempts[0].cause == "out of memory on the fake: canned"


def test_no_memory_anywhere(fleet: Fleet) -> None:
    """A trial too large for every worker is infeasible for the sampler; the worker stays."""
    fleet.create(trials=2, epochs=4)
    worker = fleet.join(fault="memory")
    counts = fleet.concluded()["counts"]
    assert (counts["infeasible"], counts["retried"]) == (2, 0)
    assert worker.returncode == 0
    trials = fleet.optuna().trials
    assert [t.state for t in trials] == [TrialState.PRUNED] * 2
    # Ten times the loss of predicting the class frequencies: worse than any trained network.
    classes = len(queries.spec_of(fleet.engine, "s").data.classes)
    assert all(t.value == pytest.approx(10 * math.log(classes)) for t in trials)


@pytest.mark.keras
def test_real_memory_limit(fleet: Fleet) -> None:
    """A network larger than the limit is infeasible; the next one trains in a fresh trainer."""
    small = REFERENCES["chapter-low-latency"]
    large = Stack.from_json({**small.to_json(), "units": [30_000, 30_000]})
    fleet.create(stacks=(large, small), data=digits(), epochs=2)
    worker = fleet.join("--memory-mb=2000", fake=False)
    status = fleet.until(lambda status: status["phase"] != "searching")
    counts = status["counts"]
    assert (counts["infeasible"], counts["completed"]) == (1, 1), fleet.trials()
    assert "out of memory on the cpu" in fleet.trials()[0]["cause"]
    assert worker.poll() is None


def test_quarantine(fleet: Fleet) -> None:
    """A worker that fails three trials in a row leaves; others repeat them and finish the rest."""
    fleet.create(trials=6, epochs=2)
    sick = fleet.join(fault="fail")
    assert sick.wait(PATIENCE_SECONDS) == 2
    assert "3 trials in a row failed here" in fleet.log(sick).splitlines()[-1]
    counts = fleet.status()["counts"]
    assert (counts["waiting"], counts["failed"]) == (3, 0)
    fleet.join()
    counts = fleet.concluded()["counts"]
    assert (counts["completed"], counts["failed"]) == (6, 0)
    assert [t.state.name for t in fleet.optuna().trials] == ["COMPLETE"] * 6
    assert [t["attempt"] for t in fleet.trials()] == [2, 2, 2, 1, 1, 1]
    assert "quarantined" in [event.kind for event in history.history(fleet.engine, "s")]


def test_dying_trainers_quarantine(fleet: Fleet) -> None:
    """A worker whose trainers die on three different trials leaves without failing any trial."""
    fleet.create(trials=4, epochs=2)
    sick = fleet.join(fault="die")
    assert sick.wait(PATIENCE_SECONDS) == 2
    fleet.join()
    counts = fleet.concluded()["counts"]
    assert (counts["completed"], counts["failed"], counts["retried"]) == (4, 0, 3)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder without space: a tiny file system for root, one without permission for others."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("root here may not mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.keras
def test_full_disk(fleet: Fleet, full: Path) -> None:
    """Without space for artifacts the study concludes, and no partial file is left."""
    stacks = (REFERENCES["chapter-default"], REFERENCES["chapter-low-latency"])
    fleet.create(stacks=stacks, data=digits(), epochs=2)
    worker = fleet.join(fake=False)
    status = fleet.concluded()
    assert worker.returncode == 0, fleet.log(worker)
    assert status["confirmation"]["completed"] == 2
    assert "weights not kept" in fleet.log(worker)
    assert list(full.rglob("*.part")) == []
    # Weights that could not be stored were trained again for the measurement.
    measured = queries.measurement(fleet.engine, "s")
    assert measured is not None
    assert len(measured["chosen"]["test"]["loss"]) == 1
    assert "the model could not be written" in fleet.log(worker)
    assert not any("artifacts" in model for model in measured["models"].values())
