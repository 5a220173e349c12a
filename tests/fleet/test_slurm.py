"""The batch script as Slurm runs it: by bash, with Slurm's variables and its signal."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.fake_bench import fake
from tests.support.fleet import Fleet
from tests.support.shell import Shell
from tests.support.slurm import submit
from trainstack.search.database.connection import STORAGE, exported

pytestmark = [pytest.mark.fleet, pytest.mark.postgres]


def test_an_array_of_workers(fleet: Fleet, url: URL, tmp_path: Path) -> None:
    """Tasks serve one study; after Slurm's signal one finishes its trial; none is lost."""
    fleet.create(trials=6, epochs=2)
    canned = fake(hold=str(tmp_path / "hold"))
    shell = Shell(tmp_path / "home", {STORAGE: exported(url), **canned})
    tasks = [submit(shell, task, STUDY="s") for task in (1, 2)]
    try:
        fleet.until(lambda status: status["counts"]["running"] == 2)
        tasks[0].send_signal(signal.SIGTERM)
        fleet.until(lambda status: any(w["state"] == "leaving" for w in status["workers"]))
        (tmp_path / "hold").touch()
        status = fleet.until(lambda status: status["concluded"])
        outputs = [task.communicate(timeout=60)[0] for task in tasks]
    finally:
        for task in tasks:
            task.kill()
    assert [task.returncode for task in tasks] == [0, 0], outputs
    assert (status["counts"]["completed"], status["counts"]["retried"]) == (6, 0)


def test_without_a_study(url: URL, tmp_path: Path) -> None:
    """A submission without a study ends at once and names the missing variable."""
    task = submit(Shell(tmp_path / "home", {STORAGE: exported(url)}), 1)
    output, _ = task.communicate(timeout=60)
    assert task.returncode != 0
    assert "STUDY: name of the study" in output
