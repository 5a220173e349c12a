"""A trainer as its supervisor sees it: a process, a pipe, and news that arrive in a queue."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import sys
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, cast

from trainstack.search.processes import FORK_SERVER, interrupts_blocked
from trainstack.search.spec import StudySpec
from trainstack.workers.runtime import trainer
from trainstack.workers.runtime.forked_trainer import Forked

# How long a trainer may take to leave by itself.
LEAVE_SECONDS = 5.0


class Died:
    """The trainer is gone (in the queue, once, after everything that it said)."""

    def __init__(self, exit_code: int | None) -> None:
        self.exit_code = exit_code


class Woken:
    """Nothing was said: somebody wants the supervisor's loop to turn."""


class Child:
    """One trainer process.

    Args:
        spec: What the study asks.
        threads: To train with; 0: as many as there are cores.
        artifacts: Where artifacts go.
        environment: Further variables.
        memory_mb: What the trainer may take, of the GPU's memory if it has one; 0: all there is.

    Attributes:
        news: What the trainer said, in order; `Died` last.
    """

    def __init__(
        self,
        spec: StudySpec,
        threads: int,
        artifacts: str,
        environment: dict[str, str],
        memory_mb: int = 0,
    ) -> None:
        # A SimpleQueue may be written to by a signal handler.
        self.news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        arguments = (spec.to_json(), threads, artifacts, memory_mb)
        self.pipe, self.process = _forked(environment, arguments) or _spawned(
            environment, arguments
        )
        # Draining the pipe here keeps the trainer from ever waiting on its supervisor.
        threading.Thread(target=self._listen, args=(self.pipe,), daemon=True).start()

    def _listen(self, pipe: Connection) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self.news.put(pipe.recv())
        self.process.join()
        self.news.put(Died(self.process.exitcode))

    def send(self, message: Any) -> None:
        """Tell the trainer something; a trainer that is gone is heard of through `Died`."""
        with contextlib.suppress(OSError, ValueError):
            self.pipe.send(message)

    def wake(self) -> None:
        """Let whoever waits for news look up; safe in a signal handler."""
        self.news.put(Woken())

    def leave(self) -> None:
        """Let the trainer go; end it if it does not."""
        self.send(None)
        self.process.join(LEAVE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the trainer now."""
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _pipe() -> tuple[Connection, Connection]:
    """Return our end of a pipe, and the trainer's (of a type of its own on Windows)."""
    return cast("tuple[Connection, Connection]", multiprocessing.Pipe())


def _forked(
    environment: dict[str, str], arguments: tuple[Any, ...]
) -> tuple[Connection, Forked] | None:
    """Let the fork server start a trainer; None where there is none, or it is not for us."""
    address = os.environ.get(FORK_SERVER)
    if address is None or environment.get("CUDA_VISIBLE_DEVICES") != "-1":
        return None
    ours, theirs = _pipe()
    try:
        with theirs:
            process = Forked(address, theirs)
        # Long ones wait here for the fork; where the server ends instead, nobody holds their end.
        ours.send((environment, arguments))
    except OSError:  # it is gone
        ours.close()
        return None
    return ours, process


def _spawned(
    environment: dict[str, str], arguments: tuple[Any, ...]
) -> tuple[Connection, BaseProcess]:
    """Start a trainer that imports TensorFlow for itself."""
    ours, theirs = _pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=trainer.main, args=(theirs, *arguments), daemon=True, name="trainer"
    )
    # Started in there it would let Ctrl-C through again
    if sys.platform != "win32":
        resource_tracker.ensure_running()
    with theirs, _environment(environment), interrupts_blocked():
        process.start()
    return ours, process


@contextlib.contextmanager
def _environment(extra: dict[str, str]) -> Iterator[None]:
    """Set variables while a child starts: it inherits them before its first line runs."""
    before = {name: os.environ.get(name) for name in extra}
    os.environ.update(extra)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
