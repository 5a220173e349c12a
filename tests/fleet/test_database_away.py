"""Training continues while the database is unavailable, and nothing is lost or repeated."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet import LEASE_SECONDS, PATIENCE_SECONDS, Fleet
from tests.support.postgres_server import Server
from trainstack.search.database import embedded_postgres
from trainstack.search.queue import history

pytestmark = [pytest.mark.fleet, pytest.mark.postgres]


@pytest.fixture
def server() -> Iterator[Server]:
    """A separate server for this test."""
    with tempfile.TemporaryDirectory() as folder:
        here = Server(Path(folder) / "home" / "postgres")
        yield here
        embedded_postgres.release(here.data)


@pytest.fixture
def fleet(server: Server, tmp_path: Path) -> Iterator[Fleet]:
    """Workers over that server."""
    here = Fleet(server.url, tmp_path)
    yield here
    here.close()


def test_crash_longer_than_a_lease(fleet: Fleet, server: Server) -> None:
    """After a crash longer than every lease no trial is restarted, and the curves are complete."""
    fleet.create(trials=2, epochs=30, pruner="asha")
    crew = [fleet.join(epoch_seconds=0.4) for _ in range(2)]
    fleet.until(lambda _: sum(bool(t["curve"]) for t in fleet.trials()) == 2)
    server.crash()
    # A lease expires without an event, so the test must wait.
    time.sleep(1.5 * LEASE_SECONDS)
    server.restart()
    counts = fleet.concluded()["counts"]
    assert counts["completed"] + counts["pruned"] == 2
    assert counts["retried"] == 0
    trials = fleet.trials()
    assert [len(t["curve"]) for t in trials if t["outcome"] == "completed"] in ([30], [30, 30])
    assert all(None not in t["curve"] for t in trials)
    events = [event.kind for event in history.history(fleet.engine, "s")]
    assert "given back" not in events
    assert [worker.returncode for worker in crew] == [0, 0]
    assert all("training goes on, reports wait" in fleet.log(worker) for worker in crew)


def test_finished_while_away(fleet: Fleet, server: Server) -> None:
    """A trial that ends while the database is unavailable is reported afterwards."""
    fleet.create(trials=1, epochs=10)
    worker = fleet.join(epoch_seconds=0.2)
    fleet.training()
    server.crash()
    time.sleep(1.5 * LEASE_SECONDS)  # in this time the trial ends
    server.restart()
    assert fleet.concluded()["counts"]["completed"] == 1
    (trial,) = fleet.trials()
    assert (trial["attempt"], len(trial["curve"])) == (1, 10)
    assert worker.returncode == 0


def test_leaving_while_away(fleet: Fleet, server: Server) -> None:
    """A worker asked to leave while the database is unavailable does so in time."""
    fleet.create(trials=1, epochs=1000)
    worker = fleet.join("--drain-timeout=1", epoch_seconds=0.1)
    fleet.training()
    server.crash()
    worker.terminate()
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert "Traceback" not in fleet.log(worker)
    server.restart()
    fleet.join(epoch_seconds=0.0, fault="", once="")
    assert fleet.concluded()["counts"]["completed"] == 1
