"""A trainer that a fork server has forked, as its supervisor sees it."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from multiprocessing.connection import Connection


class Forked:
    """Like `multiprocessing.Process`, as far as a supervisor needs one.

    Args:
        address: Of the fork server's socket.
        pipe: The trainer's end of the pipe.

    Attributes:
        exitcode: None while it runs; negative for a signal; also None where the fork server ended,
            and the trainer with it.

    Raises:
        OSError: Nobody serves that address.
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
        """Wait until it has ended, or for so many seconds."""
        self._ended.wait(timeout)

    def is_alive(self) -> bool:
        """True until it has ended."""
        return not self._ended.is_set()

    def kill(self) -> None:
        """Have it ended now."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_WR)
