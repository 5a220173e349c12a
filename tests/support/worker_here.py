"""A worker in the tests' own process, which has imported TensorFlow already.

A launch starts a worker and a trainer, `predict` and `replay` a process that predicts or trains,
each with its own imports. Tests of what a study concludes or a model predicts use this; tests of
launches, workers and signals start real ones. `concluded` runs a study to its end without the
command's loop; `everything_here` lets any verb, run within this process, start nothing.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import queue
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO
from unittest.mock import patch

import pytest
import sqlalchemy.orm  # noqa: F401 - its import by one thread breaks queries of another

from tests.support.shell import Shell
from trainstack.search.cli import (
    local_workers,
    predict,
    range_test,
    replay,
    serve,
    worker_request,
)
from trainstack.search.database.connection import artifacts, storage_url
from trainstack.search.studies.worker_client import WorkerCard, WorkerClient
from trainstack.spaces.errors import TrainstackError
from trainstack.workers.engine.keras_settings import set_keras
from trainstack.workers.messages import Setup
from trainstack.workers.runtime import trainer
from trainstack.workers.runtime.supervisor import Supervisor
from trainstack.workers.runtime.trainer_process import Died, Woken

# Modules of `workers.tasks` whose function that answers requests has another name.
ANSWERING = {"own_network": "look", "lr_range_test": "tests"}


class ThreadedTrainer:
    """A trainer in a thread, with the interface of `trainer_process.Child`."""

    def __init__(self) -> None:
        self.news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.pipe, theirs = multiprocessing.Pipe()
        self._thread = threading.Thread(target=self._serve, args=(theirs,), daemon=True)
        self._thread.start()
        threading.Thread(target=self._listen, daemon=True).start()

    def _serve(self, pipe: Connection) -> None:
        with pipe:
            trainer.serve(pipe)

    def _listen(self) -> None:
        try:
            while True:
                self.news.put(self.pipe.recv())
        except (EOFError, OSError):
            self.news.put(Died(None))

    def send(self, message: Any) -> None:
        """Send a message to the trainer."""
        self.pipe.send(message)

    def wake(self) -> None:
        """Wake the reader of `news`."""
        self.news.put(Woken())

    def leave(self) -> None:
        """Let the trainer end."""
        self.send(None)
        self._thread.join()

    def kill(self) -> None:
        """End a trainer that waits for its next job; a thread cannot be killed."""
        if self._thread.is_alive():
            self.leave()


def supervisor_here(url: Any, study: str) -> Supervisor:
    """Return the supervisor of a worker that joins a study, with its trainer in a thread."""
    card = WorkerCard("here", os.getpid(), "cpu", 0, version("trainstack"))
    client = WorkerClient.open(url, study, card)
    return Supervisor(client, Setup(client.spec, artifacts()), ThreadedTrainer(), ThreadedTrainer)


def concluded(
    shell: Shell, *words: object, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `trainstack launch WORDS --detach`, and the study to its end; return what it printed."""
    done = shell.within("launch", *words, "--detach", "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    with patch.dict(os.environ, shell.environment, clear=True):
        supervisor_here(storage_url(), json.loads(done.stdout)["study"]).run()
    return done


class WorkerHere:
    """A worker in a thread, with the part of `subprocess.Popen` that `LocalWorkers` uses.

    Of several workers of one command the first trains, since Keras's settings are global.
    """

    training: WorkerHere | None = None

    def __init__(self, command: Sequence[str], *, stderr: BinaryIO, **streams: Any) -> None:
        self._study, self._log = command[3], Path(stderr.name)
        self.returncode: int | None = None
        self.stdin = self
        self._supervisor: Supervisor | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._asked = threading.Event()

    def __enter__(self) -> WorkerHere:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def write(self, line: bytes) -> None:
        """Receive the storage's URL, and begin."""
        if WorkerHere.training is None:
            WorkerHere.training, self._url = self, line.decode().strip()
            self._thread.start()

    def _work(self) -> None:
        try:
            self._supervisor = supervisor_here(self._url, self._study)
            if not self._asked.is_set():
                self._supervisor.run()
            self.returncode = 0
        except Exception as error:
            self._log.write_text(f"trainstack: {error}\n", "utf-8")
            self.returncode = error.exit_code if isinstance(error, TrainstackError) else 1
        finally:
            WorkerHere.training = None

    def poll(self) -> int | None:
        """Return the exit code of an ended worker."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the worker's end."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._study, timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Ask the worker to leave at once."""
        self._asked.set()
        if self._supervisor is not None:
            self._supervisor.leave_soon(0.0)
        elif self._thread.ident is None:
            self.returncode = 0

    def kill(self) -> None:
        """Do nothing: a thread cannot be killed."""


def everything_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let verbs that are run in this process train and predict in it, too."""
    training_here(monkeypatch)
    requests_here(monkeypatch)


def training_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let verbs that are run in this process train in it, too."""
    ours = SimpleNamespace(
        Popen=WorkerHere,
        PIPE=subprocess.PIPE,
        DEVNULL=subprocess.DEVNULL,
        TimeoutExpired=subprocess.TimeoutExpired,
    )
    monkeypatch.setattr(local_workers, "subprocess", ours)


def requests_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let verbs that are run in this process predict, replay and test in it, too."""
    for module in (predict, range_test, replay, serve, worker_request):
        monkeypatch.setattr(module, "answers", answers_here)


def answers_here(module: str, request: Mapping[str, Any]) -> Iterator[Any]:
    """Answer a request as `worker_request.answers` does, without another process.

    TensorFlow's number of threads stays as it is: it can be set only once in a process.
    """
    set_keras()
    request = {**request, "threads": 0} if "threads" in request else request
    name = module.rpartition(".")[2]
    answer = getattr(importlib.import_module(module), ANSWERING.get(name, name))
    for found in answer(json.loads(json.dumps(request))):
        yield json.loads(json.dumps(found))
