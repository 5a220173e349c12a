"""The supervisor's handle on a trainer: a process, a pipe, and a queue of its messages."""

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
from typing import Any, cast

from trainstack.search.processes import interrupts_blocked
from trainstack.workers.runtime import trainer

# Time that a trainer has to exit before it is killed.
LEAVE_SECONDS = 5.0


class Died:
    """The trainer has ended (queued once, after all of its messages)."""

    def __init__(self, exit_code: int | None) -> None:
        self.exit_code = exit_code


class Woken:
    """No message from the trainer: wakes the supervisor's loop."""


class Child:
    """One trainer process, which serves the study whose `Setup` it is sent first.

    Args:
        environment: Additional environment variables.

    Attributes:
        news: The trainer's messages, in order; `Died` last.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        # A SimpleQueue may be written to by a signal handler.
        self.news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Windows has its own type of connection.
        self.pipe, theirs = cast("tuple[Connection, Connection]", multiprocessing.Pipe())
        self.process = multiprocessing.get_context("spawn").Process(
            target=trainer.main, args=(theirs,), daemon=True, name="trainer"
        )
        # Started within `interrupts_blocked`, it would unblock Ctrl-C
        if sys.platform != "win32":
            resource_tracker.ensure_running()
        with theirs, _environment(environment), interrupts_blocked():
            self.process.start()
        # Draining the pipe in a thread ensures that the trainer never waits for its supervisor.
        threading.Thread(target=self._listen, args=(self.pipe,), daemon=True).start()

    def _listen(self, pipe: Connection) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self.news.put(pipe.recv())
        self.process.join()
        self.news.put(Died(self.process.exitcode))

    def send(self, message: Any) -> None:
        """Send a message to the trainer; one that has ended is reported through `Died`."""
        with contextlib.suppress(OSError, ValueError):
            self.pipe.send(message)

    def wake(self) -> None:
        """Wake the reader of `news`; safe in a signal handler."""
        self.news.put(Woken())

    def leave(self) -> None:
        """Ask the trainer to exit; kill it if it does not."""
        self.send(None)
        self.process.join(LEAVE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill the trainer."""
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


@contextlib.contextmanager
def _environment(extra: dict[str, str]) -> Iterator[None]:
    """Set environment variables while a child starts, so that it inherits them."""
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
