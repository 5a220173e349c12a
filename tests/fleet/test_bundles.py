"""Workers that train several confirmation runs at once."""

from __future__ import annotations

import signal

import pytest
from sqlalchemy import func, select

from tests.support.fleet import PATIENCE_SECONDS, Fleet
from tests.support.studies import completed, epochs, open_client
from trainstack.search.database.schema import tasks
from trainstack.search.queue.queries import runs
from trainstack.search.records import CONFIRMATION, Status

pytestmark = [pytest.mark.fleet, pytest.mark.postgres]

# Seeds with which a confirmation begins, of those that it may take.
AT_FIRST, SEEDS = 3, 6


@pytest.fixture
def confirming(fleet: Fleet) -> Fleet:
    """A fleet without workers whose study has one searched stack to confirm."""
    fleet.create(trials=1, epochs=2, replicates=SEEDS)
    searcher = open_client(fleet.url)
    lease = searcher.claim()
    assert lease is not None
    searcher.report(lease, epochs(2))
    searcher.finish(lease, completed())
    searcher.leave()
    return fleet


def leased(fleet: Fleet) -> int:
    """Return how many confirmation runs are leased."""
    held = (tasks.c.kind == CONFIRMATION) & (tasks.c.status == Status.RUNNING)
    with fleet.engine.connect() as connection:
        return connection.execute(select(func.count()).where(held)).scalar_one()


def test_a_bundle_ends_with_every_run(confirming: Fleet) -> None:
    """A worker with room for them holds all seeds of a stack at once, and finishes each."""
    hold = confirming.folder / "hold"
    confirming.join(room=SEEDS, hold=str(hold))
    confirming.until(lambda _: leased(confirming) == AT_FIRST)
    # The status that was waited for was read before the leases were counted.
    assert [worker["kind"] for worker in confirming.status()["workers"]] == [CONFIRMATION]
    hold.touch()
    confirming.concluded()
    assert {run.outcome for run in runs(confirming.engine, "s", CONFIRMATION)} == {"completed"}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_run_of_a_bundle_is_lost(confirming: Fleet, number: signal.Signals) -> None:
    """A worker that is killed, drained or interrupted leaves every run of its bundle to others."""
    hold = str(confirming.folder / "hold")
    first = confirming.join("--drain-timeout=1", room=SEEDS, hold=hold)
    confirming.until(lambda _: leased(confirming) == AT_FIRST)
    first.send_signal(number)
    first.wait(PATIENCE_SECONDS)
    confirming.join(room=SEEDS)
    confirming.concluded()
    found = runs(confirming.engine, "s", CONFIRMATION)
    assert {run.outcome for run in found} == {"completed"}


def test_a_failing_bundle_is_trained_one_by_one(confirming: Fleet) -> None:
    """If training at once fails, each run is trained alone, and only the faulty one fails."""
    once = str(confirming.folder / "failed")
    worker = confirming.join(room=SEEDS, fault="fail", once=once)
    confirming.concluded()
    found = runs(confirming.engine, "s", CONFIRMATION)
    assert {run.outcome for run in found} == {"completed"}
    assert f"training {AT_FIRST} networks at once failed" in confirming.log(worker)


def test_max_trials_limits_a_bundle(confirming: Fleet) -> None:
    """A worker that is to train two runs claims no more than two."""
    worker = confirming.join("--max-trials=2", room=SEEDS)
    assert worker.wait(PATIENCE_SECONDS) == 0
    done = [r for r in runs(confirming.engine, "s", CONFIRMATION) if r.outcome == "completed"]
    assert len(done) == 2
