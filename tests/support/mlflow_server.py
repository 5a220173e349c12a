"""A real MLflow server with its store in a folder."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Seconds that it may take to start on a busy machine.
PATIENCE = 120


class Server:
    """An MLflow server on this machine.

    Args:
        folder: Folder of its database, artifacts and log.
        port: Its port.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.uri, self._folder = f"http://127.0.0.1:{port}", folder
        store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        store += ["--artifacts-destination", str(folder / "artifacts")]
        place = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        self._command = [sys.executable, "-m", "mlflow", "server", *store, *place]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        if self._process is not None:
            return
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """Kill it with all its processes."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def server_in(folder: Path) -> Iterator[Server]:
    """A server that is not started yet, killed at the end of this context."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Server(folder, port)
    try:
        yield made
    finally:
        made.kill()


def runs_of(client: Any, study: str) -> dict[str, Any]:
    """Return what a server has of a study: its runs by key."""
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        return {}
    found = client.search_runs([experiment.experiment_id])
    return {run.data.tags["trainstack.key"]: run for run in found}
