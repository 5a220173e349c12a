"""GPU assignment with a script as the driver's list and simulated training."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from sqlalchemy import URL

from tests.support.fake_bench import fake
from tests.support.fleet import Fleet
from tests.support.shell import Shell, refused
from trainstack.search.cli.local_workers import cores
from trainstack.search.database.connection import STORAGE, exported

pytestmark = [pytest.mark.fleet, pytest.mark.postgres]


@pytest.fixture
def machine(url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A machine whose driver lists two GPUs; no trial ends before the file `hold` exists."""
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.parent.mkdir()
    driver.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(driver.parent), prepend=":")
    canned = fake(hold=str(tmp_path / "hold"))
    return Shell(tmp_path / "home", {STORAGE: exported(url), **canned})


def test_a_worker_for_each_gpu(fleet: Fleet, machine: Shell, tmp_path: Path) -> None:
    """`worker` starts one process per GPU, which sees only that GPU; they split the cores."""
    fleet.create(trials=2, epochs=2)
    worker = machine.start("worker", "s")
    try:
        status = fleet.until(lambda status: status["counts"]["running"] == 2)
        assert {w["device"] for w in status["workers"]} == {"gpu:0", "gpu:1"}
        assert {w["threads"] for w in status["workers"]} == {max(1, cores() // 2)}
        family = psutil.Process(worker.pid).children(recursive=True)
        trainers = [p for p in family if "spawn_main" in " ".join(p.cmdline())]
        assert {p.environ()["CUDA_VISIBLE_DEVICES"] for p in trainers} == {"0", "1"}
        (tmp_path / "hold").touch()
        assert worker.wait(120) == 0
    finally:
        worker.kill()
        worker.communicate()


def test_several_on_one_gpu_need_a_limit(machine: Shell) -> None:
    """Several workers on one GPU are refused without a memory limit for each."""
    line = refused(machine.run("worker", "s", "--gpus", "1", "--count", "2"), 2)
    assert "--memory-mb" in line
