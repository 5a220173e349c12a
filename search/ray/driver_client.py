"""Client of the driver process `trainstack.search.ray.driver`, for the command line."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import threading
from typing import Any

from trainstack.search.processes import environment
from trainstack.search.ray.connection import aborted, away
from trainstack.spaces.errors import TrainstackError, of_exit_code

# Time limits for connecting to the cluster and for the driver to exit.
CONNECT_SECONDS, LEAVE_SECONDS = 60.0, 5.0


class Dialogue:
    """A driver process connected to a cluster.

    Attributes:
        nodes: The cluster's nodes at the time of the connection.
    """

    def __init__(self, address: str) -> None:
        """Start a driver and wait until it is connected to the cluster.

        Raises:
            RequestError: The cluster cannot be used.
            StorageAwayError: The cluster does not answer.
        """
        self._address = address
        self._news: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trainstack.search.ray.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            # Suppress Ray's own log, which is of no use on a terminal.
            env=environment(RAY_BACKEND_LOG_LEVEL="fatal"),
            start_new_session=True,  # Ctrl-C must not reach the driver
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self.ask(connect=address)
        self.nodes = self._let_in()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):
            for line in self._process.stdout:
                self._news.put(json.loads(line))
        self._news.put(None)

    def _let_in(self) -> list[dict[str, Any]]:
        try:
            while (news := self.next(CONNECT_SECONDS)) is not None:
                if "nodes" in news:
                    return news["nodes"]
        except queue.Empty:
            self.close()
            raise away(self._address, f"timed out after {CONNECT_SECONDS:.0f} s") from None
        raise self._failure()

    def _failure(self) -> TrainstackError:
        """Return the error with which the driver ended."""
        code = self._process.wait()
        self._errors.seek(0)
        output = self._errors.read()
        self.close()
        ours = [line for line in output.splitlines() if line.startswith("trainstack: ")]
        if ours:
            return of_exit_code(code, ours[-1].removeprefix("trainstack: "))
        return aborted(output, self._address)

    def ask(self, **document: Any) -> None:
        """Send a request to the driver; if it is gone, `next` returns None."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(document) + "\n")
            self._process.stdin.flush()

    def next(self, seconds: float = 0.0) -> dict[str, Any] | None:
        """Return the driver's next reply; None if the driver is gone.

        Raises:
            queue.Empty: There was no reply within `seconds`.
        """
        return self._news.get(timeout=seconds) if seconds > 0 else self._news.get_nowait()

    def close(self) -> None:
        """End the driver."""
        with contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
