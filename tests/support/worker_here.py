"""A worker in the tests' own process, which has imported TensorFlow already.

A launch starts a worker and a trainer, `predict` and `replay` a process that predicts or trains,
each with its own imports. Tests of what a study concludes or a model predicts use this; tests of
launches, workers and signals start real ones.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from multiprocessing.connection import Connection
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import patch

from tests.support.shell import Shell
from trainstack.search.database.connection import artifacts, storage_url
from trainstack.search.studies.worker_client import WorkerCard, WorkerClient
from trainstack.workers.engine.keras_settings import set_keras
from trainstack.workers.messages import Setup
from trainstack.workers.runtime import trainer
from trainstack.workers.runtime.supervisor import Supervisor
from trainstack.workers.runtime.trainer_process import Died, Woken


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


def concluded(shell: Shell, *words: object) -> CompletedProcess[str]:
    """Run `trainstack launch WORDS --detach`, and the study to its end; return what it printed."""
    done = shell.within("launch", *words, "--detach", "--json")
    assert done.returncode == 0, done.stderr
    with patch.dict(os.environ, shell.environment, clear=True):
        card = WorkerCard("here", os.getpid(), "cpu", 0, version("trainstack"))
        client = WorkerClient.open(storage_url(), json.loads(done.stdout)["study"], card)
        setup = Setup(client.spec, artifacts())
        Supervisor(client, setup, ThreadedTrainer(), ThreadedTrainer).run()
    return done


def answers_here(module: str, request: Mapping[str, Any]) -> Iterator[Any]:
    """Answer a request as `worker_request.answers` does, without another process."""
    set_keras()
    answer = getattr(importlib.import_module(module), module.rpartition(".")[2])
    for found in answer(json.loads(json.dumps(request))):
        yield json.loads(json.dumps(found))
