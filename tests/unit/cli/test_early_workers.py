"""Workers that `launch` starts before their study exists."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.fake_bench import fake
from trainstack.search.cli.local_workers import LocalWorkers
from trainstack.search.processes import environment

pytestmark = pytest.mark.process

PATIENCE_SECONDS = 60.0


def test_a_worker_exits_when_no_storage_is_named(tmp_path: Path) -> None:
    """It exits 0 without output if its input ends, as when `launch` was killed."""
    command = [sys.executable, "-m", "trainstack.workers", "nothing", "--storage-from-input"]
    here = environment(TRAINSTACK_HOME=str(tmp_path), **fake())
    done = subprocess.run(
        command,
        check=False,
        input="",
        capture_output=True,
        text=True,
        env=here,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_workers_of_a_refused_launch_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed before their study exists, workers and their trainers end, and leave no log."""
    home = tmp_path / "home"
    for name, value in {"TRAINSTACK_HOME": str(home), **fake()}.items():
        monkeypatch.setenv(name, value)
    local = LocalWorkers(None, "nothing")
    local.keep(2)
    workers = [psutil.Process(process.pid) for process in local.processes]
    until = time.monotonic() + PATIENCE_SECONDS
    while not all(worker.children() for worker in workers):
        assert time.monotonic() < until
    processes = [*workers, *(child for worker in workers for child in worker.children())]
    local.close()
    gone, left = psutil.wait_procs(processes, PATIENCE_SECONDS)
    assert (len(gone), left) == (len(processes), [])
    assert not home.exists()
