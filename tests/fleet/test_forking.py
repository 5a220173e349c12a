"""The fork server: trainers that start immediately and end with their clients."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.fake_bench import fake, pretend
from tests.support.fleet import PATIENCE_SECONDS, Fleet
from tests.support.studies import spec_of
from trainstack.search.cli.fork_server import fork_server
from trainstack.search.data.load import load
from trainstack.search.processes import FORK_SERVER
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.workers.messages import Done, Job, Measured, Ready
from trainstack.workers.runtime.forked_trainer import Forked
from trainstack.workers.runtime.trainer_process import Child, Died

pytestmark = [
    pytest.mark.fleet,
    pytest.mark.skipif(sys.platform != "linux", reason="there are fork servers on Linux alone"),
]

CPU = {"CUDA_VISIBLE_DEVICES": "-1"}


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> Iterator[psutil.Process]:
    """A fork server whose trainers follow simulated curves."""
    pretend(monkeypatch, epoch_seconds=0.0)
    with fork_server():
        yield server_of(os.getpid())


def server_of(pid: int) -> psutil.Process:
    """Return the fork server started by a process."""
    found = [
        p
        for p in psutil.Process(pid).children()
        if "trainstack.workers.runtime.fork_server" in p.cmdline()
    ]
    assert len(found) == 1
    return found[0]


def child(environment: dict[str, str] = CPU, spec: StudySpec | None = None) -> Child:
    """Start a trainer."""
    return Child(spec or spec_of(), 1, "", environment)


def next_message(trainer: Child, kind: type) -> Any:
    """Return the next message of a type."""
    while not isinstance(news := trainer.news.get(timeout=PATIENCE_SECONDS), kind):
        assert not isinstance(news, Died), news.exit_code
    return news


def job(epochs: int = 3) -> Job:
    """Return a job."""
    return Job("token", "search", CHAPTER_DEFAULT, seed=1, split_seed=0, epochs=epochs)


def ended(process: psutil.Process) -> None:
    """Wait until a process, possibly not our child, has ended."""
    process.wait(PATIENCE_SECONDS)


def test_a_fork_does_jobs_and_leaves(forks: psutil.Process) -> None:
    """A forked trainer becomes ready, trains, leaves on request, and its exit code is reported."""
    trainer = child()
    assert isinstance(trainer.process, Forked)
    next_message(trainer, Ready)
    assert len(forks.children()) == 1
    trainer.send(job())
    assert next_message(trainer, Done).result.outcome == "completed"
    trainer.leave()
    assert next_message(trainer, Died).exit_code == 0
    assert forks.children() == []


def test_a_fork_is_killed(forks: psutil.Process) -> None:
    """A trainer can be killed during an epoch; the next one is forked as well."""
    trainer = child({**CPU, **fake(epoch_seconds=600.0)})
    next_message(trainer, Ready)
    trainer.send(job())
    trainer.kill()
    assert next_message(trainer, Died).exit_code == -signal.SIGKILL
    assert not trainer.process.is_alive()
    other = child()
    assert isinstance(other.process, Forked)
    next_message(other, Ready)
    other.kill()


def test_a_fork_that_crashes_has_an_exit_code(forks: psutil.Process) -> None:
    """The exit code of a trainer killed by a signal is that signal's."""
    trainer = child({**CPU, **fake(fault="die", fault_epoch=2)})
    trainer.send(job())
    next_message(trainer, Measured)
    assert next_message(trainer, Died).exit_code == -signal.SIGKILL


def in_a_process(program: str) -> subprocess.Popen[str]:
    """Run lines that use this module in a separate process until they print a word."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"from tests.fleet.test_forking import *\n{program}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_fork_ends_with_its_supervisor(forks: psutil.Process) -> None:
    """A trainer whose supervisor is killed ends, even within an epoch."""
    slow = {**CPU, **fake(epoch_seconds=600.0)}
    supervisor = in_a_process(
        f"trainer = child({slow!r})\nnext_message(trainer, Ready)\ntrainer.send(job())\n"
        "print('ready', flush=True)\ninput()"
    )
    (trainer,) = forks.children()
    supervisor.kill()
    ended(trainer)
    assert forks.is_running()
    supervisor.communicate()


def test_forks_end_with_their_server(forks: psutil.Process) -> None:
    """If the fork server is killed, its trainers end and new ones start without it."""
    trainer = child()
    next_message(trainer, Ready)
    (process,) = forks.children()
    forks.kill()
    assert next_message(trainer, Died).exit_code is None
    ended(process)
    other = child()
    assert isinstance(other.process, BaseProcess)
    next_message(other, Ready)
    other.kill()


def test_a_killed_command_leaves_nothing_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the command is killed, its fork server exits after its last trainer."""
    pretend(monkeypatch)
    with ExitStack() as ending:
        command = in_a_process(
            "stack = ExitStack()\nstack.enter_context(fork_server())\n"
            f"print('ready', flush=True)\nprint(os.environ[{FORK_SERVER!r}], flush=True)\ninput()"
        )
        ending.callback(command.communicate)
        assert command.stdout is not None
        monkeypatch.setenv(FORK_SERVER, command.stdout.readline().strip())
        process = server_of(command.pid)
        trainer = child()
        next_message(trainer, Ready)
        command.kill()
        command.wait()
        trainer.send(job())
        next_message(trainer, Done)
        trainer.leave()
        ended(process)
    assert not Path(os.environ[FORK_SERVER]).parent.exists()


def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fork server and the folder of its socket are removed with the command."""
    pretend(monkeypatch)
    with fork_server():
        process, folder = server_of(os.getpid()), Path(os.environ[FORK_SERVER]).parent
        with fork_server():  # another part of the command that needs one uses it
            assert server_of(os.getpid()) == process
        next_message(child(), Ready)
    assert not process.is_running()
    assert not folder.exists()
    assert FORK_SERVER not in os.environ


def test_a_fork_server_without_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command's standard input closed, its trainers are still forks."""
    pretend(monkeypatch)
    program = (
        "from trainstack.search.processes import open_streams\nopen_streams()\n"
        "from tests.fleet.test_forking import *\n"
        "with fork_server():\n"
        "    trainer = child()\n"
        "    next_message(trainer, Ready)\n"
        "    print(type(trainer.process).__name__)\n"
        "    trainer.kill()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        preexec_fn=lambda: os.close(0),
    )
    assert (done.returncode, done.stdout) == (0, "Forked\n")


def test_a_worker_goes_on_without_its_fork_server(fleet: Fleet, forks: psutil.Process) -> None:
    """If the server ends before it has forked, the worker starts a trainer directly."""
    fleet.create(trials=2)
    forks.suspend()  # the worker can connect to its socket before it accepts
    worker = fleet.join()
    fleet.until(lambda status: [w["state"] for w in status["workers"]] == ["starting"])
    forks.kill()
    assert fleet.concluded()["counts"]["completed"] == 2
    assert worker.returncode == 0
    assert "the fork server ended" in fleet.log(worker)


def test_a_spec_of_any_size_waits_for_no_dead_server(
    forks: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments larger than the pipe do not block once the server has ended."""
    asked = threading.Event()

    def ask(address: str, pipe: Connection) -> Forked:
        forked = Forked(address, pipe)
        asked.set()
        return forked

    monkeypatch.setattr("trainstack.workers.runtime.trainer_process.Forked", ask)
    forks.suspend()
    large = spec_of(stacks=tuple(CHAPTER_DEFAULT for _ in range(5000)))
    with ThreadPoolExecutor(1) as aside:
        started = aside.submit(child, spec=large)
        assert asked.wait(PATIENCE_SECONDS)
        forks.kill()
        trainer = started.result(PATIENCE_SECONDS)
    assert isinstance(trainer.process, BaseProcess)
    next_message(trainer, Ready)
    trainer.kill()


@pytest.mark.parametrize("environment", [{"CUDA_VISIBLE_DEVICES": "0"}, {}])
def test_workers_of_a_gpu_are_not_served(
    forks: psutil.Process, environment: dict[str, str]
) -> None:
    """The trainer of a GPU worker is not forked."""
    trainer = child(environment)
    assert isinstance(trainer.process, BaseProcess)
    trainer.kill()


@pytest.mark.keras
def test_forks_train_alike() -> None:
    """A forked trainer's losses equal, to the last digit, those of one started directly."""
    spec = spec_of(data=load("wine").describe(), epochs=3)

    def losses(start: Callable[[], Child]) -> list[float]:
        trainer = start()
        next_message(trainer, Ready)
        trainer.send(job())
        result = next_message(trainer, Done).result
        trainer.leave()
        return [measured.valid_loss for measured in result.measurements]

    with fork_server():
        forked = losses(lambda: child(spec=spec))
    assert len(forked) == 3
    assert forked == losses(lambda: child(spec=spec))
