"""The supervisor's handle on a trainer that the fork server has forked."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from multiprocessing.connection import Connection


class Forked:
    """The part of `multiprocessing.Process`'s interface that a supervisor uses.

    Args:
        address: Address of the fork server's socket.
        pipe: The trainer's end of the pipe.

    Attributes:
        exitcode: None while it runs; negative for a signal; also None if the fork server ended,
            and the trainer with it.

    Raises:
        OSError: No server listens at that address.
    """

    def __init__(self, address: str, pipe: Connection) -> None:
        self.exitcode: int | None = None
        self._ended = threading.Event()
        self._server = socket.socket(socket.AF_UNIX)
        try:
            self._server.connect(address)
            handles = [pipe.fileno(), sys.stdout.fileno(), sys.stderr.fileno()]
            socket.send_fds(self._server, [b"\0"], handles)
        except OSError:
            self._server.close()
            raise
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        with self._server, contextlib.suppress(OSError, ValueError):
            self.exitcode = int(self._server.recv(16))
        self._ended.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, or for `timeout` seconds."""
        self._ended.wait(timeout)

    def is_alive(self) -> bool:
        """Return whether it is still running."""
        return not self._ended.is_set()

    def kill(self) -> None:
        """Kill it."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_WR)
