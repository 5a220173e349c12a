"""Killed workers lose nothing, duplicate nothing, and leave nothing running."""

from __future__ import annotations

import random
import signal

import psutil
import pytest
from optuna.trial import TrialState
from sqlalchemy import select

from tests.support.fleet import Fleet, trainer_of
from trainstack.search.database.schema import attempts, tasks
from trainstack.search.queue import history

pytestmark = [pytest.mark.fleet, pytest.mark.postgres]


def test_storm(fleet: Fleet) -> None:
    """Four workers, one of which is repeatedly killed, finish with exactly the budget."""
    dice = random.Random(0)
    fleet.create(trials=40, epochs=8)
    crew = [fleet.join(epoch_seconds=0.05) for _ in range(4)]
    for _ in range(8):
        before = fleet.status()["counts"]["completed"]
        fleet.until(lambda s, n=before: s["counts"]["completed"] > n or s["phase"] != "searching")
        # Kill one that trains, since on a busy machine most are still starting, but not one whose
        # trial has died twice: the third death is its last.
        died = {trial["number"]: trial["attempt"] - 1 for trial in fleet.trials()}
        holds = {w["id"]: w["trial"] for w in fleet.status()["workers"] if w["trial"] is not None}
        pids = {int(name.rsplit("-", 2)[1]): trial for name, trial in holds.items()}
        victims = [k for k, process in enumerate(crew) if died.get(pids.get(process.pid), 2) < 2]
        idle = [k for k, process in enumerate(crew) if process.pid not in pids]
        victim = dice.choice(victims or idle)
        crew[victim].kill()
        crew[victim] = fleet.join(epoch_seconds=0.05)
    status = fleet.concluded()
    counts = status["counts"]
    assert counts["completed"] == 40
    assert counts["running"] == counts["waiting"] == counts["failed"] == 0
    assert counts["retried"] >= 1
    trials = fleet.optuna().trials
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 40
    assert [t["number"] for t in fleet.trials()] == list(range(40))
    assert all(len(t["curve"]) == 8 for t in fleet.trials())
    # Every retry is linked to its first attempt: one task, attempts 1, 2, …, the last completed.
    for trial in fleet.trials():
        recorded = history.attempts_at(fleet.engine, "s", trial["number"])
        assert [a.attempt for a in recorded] == list(range(1, trial["attempt"] + 1))
        assert [a.ending for a in recorded[:-1]] == ["given back"] * (len(recorded) - 1)
        assert recorded[-1].ending == "completed"
    attempts_told = [trial.user_attrs["attempts"] for trial in trials]
    assert attempts_told == [trial["attempt"] for trial in fleet.trials()]


def test_death_before_the_first_beat(fleet: Fleet) -> None:
    """A trial whose worker dies right after the claim is returned and trained by another."""
    fleet.create(trials=2, epochs=2)
    first = fleet.join(epoch_seconds=30)
    fleet.until(lambda status: status["counts"]["running"])
    first.kill()
    second = fleet.join()
    assert fleet.concluded()["counts"]["completed"] == 2
    assert second.returncode == 0
    assert max(t["attempt"] for t in fleet.trials()) == 2


def test_all_die_one_joins_later(fleet: Fleet) -> None:
    """A study whose workers all died is finished by one that joins later."""
    fleet.create(trials=3, epochs=3)
    for process in [fleet.join(epoch_seconds=30), fleet.join(epoch_seconds=30)]:
        fleet.until(lambda status: status["counts"]["running"])
        process.kill()
    fleet.join()
    assert fleet.concluded()["counts"]["completed"] == 3
    with fleet.engine.connect() as connection:
        rows = connection.execute(select(attempts).where(attempts.c.ended_at.is_(None))).all()
        held = connection.execute(select(tasks).where(tasks.c.status != "done")).all()
    assert rows == held == []


def test_trainer_ends_with_its_supervisor(fleet: Fleet) -> None:
    """A trainer ends with its killed supervisor, even within an epoch."""
    fleet.create(trials=1, epochs=2)
    worker = fleet.join(epoch_seconds=600)
    fleet.until(lambda status: status["counts"]["running"])
    trainer = trainer_of(worker)
    worker.kill()
    worker.wait()
    assert psutil.wait_procs([trainer], timeout=60)[1] == []


def test_killed_trainer(fleet: Fleet) -> None:
    """A killed trainer is replaced, and its trial continues at the same worker."""
    fleet.create(trials=3, epochs=3)
    worker = fleet.join(fault="die", fault_epoch=2, once=str(fleet.folder / "died"))
    counts = fleet.concluded()["counts"]
    assert (counts["completed"], counts["retried"], counts["failed"]) == (3, 1, 0)
    assert worker.returncode == 0
    assert [t["cause"] for t in fleet.trials() if t["attempt"] == 2] == [None]
    first = next(t["number"] for t in fleet.trials() if t["attempt"] == 2)
    recorded = history.attempts_at(fleet.engine, "s", first)
    assert "exit code -9" in (recorded[0].cause or "")


def test_hung_training(fleet: Fleet) -> None:
    """Hung training is ended, its trial is tried again, and the worker continues."""
    fleet.create(trials=3, epochs=3)
    worker = fleet.join("--stall-timeout=3", fault="hang", once=str(fleet.folder / "hung"))
    counts = fleet.concluded()["counts"]
    # At least one: on a very busy machine a starting trainer may also time out.
    assert counts["completed"] == 3
    assert counts["retried"] >= 1
    assert worker.returncode == 0
    recorded = history.attempts_at(fleet.engine, "s", 0)
    assert (recorded[0].cause or "").startswith("no progress for")


def test_worn_trainer(fleet: Fleet) -> None:
    """A trainer that has built too much is replaced between two trials, without affecting any."""
    fleet.create(trials=4, epochs=2)
    worker = fleet.join(worn_after=2)
    counts = fleet.concluded()["counts"]
    assert (counts["completed"], counts["retried"], counts["failed"]) == (4, 0, 0)
    assert worker.returncode == 0
    assert "starting another trainer" in fleet.log(worker)


def test_late_worker_is_fenced_out(fleet: Fleet) -> None:
    """A worker suspended for too long finds its trial gone, and writes nothing to it."""
    fleet.create(trials=1, epochs=20)
    late = fleet.join(epoch_seconds=0.3)
    fleet.training()
    late.send_signal(signal.SIGSTOP)  # its trainer continues
    fleet.join(epoch_seconds=0.05)
    status = fleet.until(lambda status: status["counts"]["completed"])
    (trial,) = fleet.trials()
    late.send_signal(signal.SIGCONT)
    fleet.concluded()
    assert fleet.trials() == [trial]
    assert trial["attempt"] == 2
    assert str(late.pid) not in trial["worker"]
    assert late.returncode == 0
    assert status["counts"]["retried"] == 1
