"""Ctrl-C during the start of a process: no traceback on the terminal, and no signal lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.fake_bench import fake
from trainstack.search.processes import environment

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX's"),
]

# Each plays the command: it starts a process, reports it, and survives the signal.
HEAD = """
import signal, threading
interrupted = threading.Event()
signal.signal(signal.SIGINT, lambda number, frame: interrupted.set())
"""
WORKER = """
from trainstack.search.cli.local_workers import LocalWorkers
crew = LocalWorkers.start("postgresql://me@127.0.0.1:1/base", "nothing", 1, show=True)
print("started", flush=True)
raise SystemExit(crew.worst_exit_code())
"""
TRAINER = """
from tests.support.planted_study import made_up_spec
from trainstack.workers.messages import Setup
from trainstack.workers.runtime.trainer_process import Child
child = Child({})
child.send(Setup(made_up_spec(), "nowhere"))
print("started", flush=True)
first = child.news.get()
child.leave()
interrupted.wait()
raise SystemExit(type(first).__name__ != "Ready")
"""
# From before our first line is read until all modules are imported
MOMENTS = (0.0, 0.01, 0.03, 0.1, 0.2, 0.4)


def interrupted(script: str, moment: float, home: str) -> tuple[int, str]:
    """Start a script, interrupt its process group, and return its exit code and errors."""
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD + script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(TRAINSTACK_HOME=home, **fake()),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_worker_that_is_interrupted_while_it_starts(tmp_path: object, moment: float) -> None:
    """It exits 130 without output, however early the signal comes."""
    assert interrupted(WORKER, moment, str(tmp_path)) == (130, "")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_trainer_that_is_interrupted_while_it_starts(tmp_path: object, moment: float) -> None:
    """It starts without output, because its supervisor handles the signal."""
    assert interrupted(TRAINER, moment, str(tmp_path)) == (0, "")
