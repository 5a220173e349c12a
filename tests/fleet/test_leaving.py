"""Workers that are asked to leave, and studies that are paused, stopped or cancelled."""

from __future__ import annotations

import signal
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet import PATIENCE_SECONDS, Fleet
from tests.support.studies import DATA
from trainstack.search.database.connection import ARTIFACTS
from trainstack.search.queue import history, study_store
from trainstack.search.studies.actions import request_state

pytestmark = [pytest.mark.fleet, pytest.mark.postgres]


def endings(fleet: Fleet, number: int = 0) -> list[tuple[str | None, str | None]]:
    """Return how each attempt at a trial ended."""
    return [
        (attempt.ending, attempt.cause)
        for attempt in history.attempts_at(fleet.engine, "s", number)
    ]


def test_drain_finishes(fleet: Fleet) -> None:
    """With enough time, a worker asked to leave finishes its trial and takes no other."""
    fleet.create(trials=5, epochs=8)
    hold = fleet.folder / "hold"
    worker = fleet.join("--drain-timeout=600", hold=str(hold))
    fleet.until(lambda status: status["counts"]["running"])
    worker.terminate()
    fleet.until(lambda status: [w["state"] for w in status["workers"]] == ["leaving"])
    hold.touch()
    assert worker.wait(PATIENCE_SECONDS) == 0
    counts = fleet.status()["counts"]
    assert (counts["completed"], counts["running"], counts["waiting"]) == (1, 0, 0)
    assert fleet.status()["workers"] == []


@pytest.mark.parametrize("changes", [{"worn_after": 1}, {"fault": "memory"}])
def test_no_trainer_is_missed_when_leaving(fleet: Fleet, changes: dict[str, Any]) -> None:
    """A worker whose trainer is given up while it leaves, exits 0 like any other that leaves."""
    fleet.create(trials=5, epochs=2)
    hold = fleet.folder / "hold"
    worker = fleet.join("--drain-timeout=600", hold=str(hold), **changes)
    fleet.until(lambda status: status["counts"]["running"])
    worker.terminate()
    fleet.until(lambda status: [w["state"] for w in status["workers"]] == ["leaving"])
    hold.touch()
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert "did not start" not in fleet.log(worker)
    assert fleet.status()["counts"]["running"] == 0


def test_drain_gives_back(fleet: Fleet) -> None:
    """Without enough time, a worker asked to leave gives its trial back, without a strike."""
    fleet.create(trials=1, epochs=1000)
    worker = fleet.join("--drain-timeout=1", epoch_seconds=0.1)
    fleet.training()
    worker.terminate()
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert fleet.status()["counts"]["waiting"] == 1
    assert endings(fleet) == [("given back", "interrupted")]


def test_second_signal_leaves_at_once(fleet: Fleet) -> None:
    """After a second signal a worker gives its trial back within the epoch."""
    fleet.create(trials=1, epochs=2)
    worker = fleet.join("--drain-timeout=600", epoch_seconds=600)
    fleet.until(lambda status: status["counts"]["running"])

    def told_again(_: object) -> bool:
        worker.terminate()
        return worker.poll() is not None

    fleet.until(told_again)
    assert fleet.status()["counts"]["waiting"] == 1
    assert endings(fleet) == [("given back", "interrupted")]


def test_interrupt(fleet: Fleet) -> None:
    """Ctrl-C, even if delivered twice, gives the trial back and exits 130."""
    fleet.create(trials=1, epochs=1000)
    worker = fleet.join(epoch_seconds=0.1)
    fleet.training()
    worker.send_signal(signal.SIGINT)
    worker.send_signal(signal.SIGINT)
    assert worker.wait(PATIENCE_SECONDS) == 130
    assert fleet.status()["counts"]["waiting"] == 1
    assert "Traceback" not in fleet.log(worker)


def test_pause_and_resume(fleet: Fleet) -> None:
    """While paused, running trials finish and none starts; resuming uses the same worker."""
    fleet.create(trials=3, epochs=8)
    hold = fleet.folder / "hold"
    worker = fleet.join(hold=str(hold))
    fleet.until(lambda status: status["counts"]["running"])
    request_state(fleet.url, "s", study_store.PAUSE)
    hold.touch()
    status = fleet.until(lambda status: not status["counts"]["running"])
    assert status["state"] == "paused"
    fleet.until(lambda status: [w["state"] for w in status["workers"]] == ["idle"])
    assert fleet.status()["counts"]["completed"] == 1
    request_state(fleet.url, "s", study_store.GO)
    assert fleet.concluded()["counts"]["completed"] == 3
    assert worker.returncode == 0


def test_stop(fleet: Fleet) -> None:
    """A stop lets running trials finish; the workers then conclude with the results so far."""
    fleet.create(trials=50, epochs=8)
    crew = [fleet.join(epoch_seconds=0.1) for _ in range(2)]
    fleet.until(lambda status: status["counts"]["completed"])
    request_state(fleet.url, "s", study_store.STOP)
    status = fleet.concluded()
    assert 1 <= status["counts"]["completed"] == status["budget"]["trials"] < 50
    assert status["counts"]["retried"] == 0
    assert status["confirmation"]["completed"] > 0
    assert [worker.returncode for worker in crew] == [0, 0]


def test_cancel(fleet: Fleet) -> None:
    """A cancel ends running trials, which wait for a resume, and lets the workers leave."""
    fleet.create(trials=2, epochs=1000)
    worker = fleet.join(epoch_seconds=0.1)
    fleet.training()
    request_state(fleet.url, "s", study_store.CANCEL)
    assert worker.wait(PATIENCE_SECONDS) == 0
    counts = fleet.status()["counts"]
    assert (counts["running"], counts["waiting"]) == (0, 1)
    assert endings(fleet) == [("given back", "interrupted")]


def test_most_trials(fleet: Fleet) -> None:
    """A worker limited to two trials leaves after two."""
    fleet.create(trials=5, epochs=2)
    worker = fleet.join("--max-trials=2")
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert fleet.status()["counts"]["completed"] == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"version": "9.9"}, "expected 9.9, the version that created study 's'"), ({}, "fingerprint")],
)
def test_refusal(fleet: Fleet, changes: dict[str, str], words: str) -> None:
    """A worker with another package or other data refuses in one line, without a lease."""
    fleet.create(trials=2, **changes)
    worker: subprocess.Popen[bytes] = fleet.join(fake=False)
    assert worker.wait(PATIENCE_SECONDS) == 2
    assert words in refusal_of(fleet, worker)
    status = fleet.status()
    assert (status["workers"], status["counts"]["running"]) == ([], 0)


def test_shared_data_out_of_reach(fleet: Fleet, tmp_path: Path) -> None:
    """A worker whose data is in an unavailable object store exits 3, to be restarted.

    The data is not on this machine, and the check at the start succeeded.
    """
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        away = {ARTIFACTS: "s3://bucket", "AWS_ENDPOINT_URL": address}
        away |= {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu"}
        data = replace(DATA, source=str(tmp_path / "elsewhere.npz"))
        fleet.create(trials=2, data=data)
        worker = fleet.join(fake=False, settings=away)
        assert worker.wait(PATIENCE_SECONDS) == 3
    assert "no answer from the artifact store" in refusal_of(fleet, worker)


def refusal_of(fleet: Fleet, worker: subprocess.Popen[bytes]) -> str:
    """Return the one line of a worker's refusal."""
    (refusal,) = [
        line for line in fleet.log(worker).splitlines() if line.startswith("trainstack: ")
    ]
    assert "Traceback" not in fleet.log(worker)
    return refusal
