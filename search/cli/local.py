"""Workers of this machine, started as processes by the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

# How long workers may take to give back what they hold when told to leave at once.
LEAVE_SECONDS = 20.0


@dataclass
class LocalWorkers:
    """Some worker processes and the files that they log to."""

    processes: list[subprocess.Popen[bytes]]
    logs: list[Path]

    @classmethod
    def start(
        cls, url: str, study: str, count: int, extra: tuple[str, ...] = (), show: bool = False
    ) -> LocalWorkers:
        """Start workers that share the machine's cores.

        Args:
            url: Storage URL with its password; it goes into their environment, never into their
                arguments, which every user of the machine could read.
            study: Which study.
            count: How many.
            extra: Further arguments of `python -m workers`.
            show: Let them write to our standard error instead of log files.
        """
        from search.fleet.connect import STORAGE, home

        threads = max(1, cores() // max(1, count))
        folder = home() / "logs" / quote(study, safe="")
        folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, STORAGE: url}
        processes, logs = [], []
        for place in range(count):
            log = folder / f"worker-{os.getpid()}-{place}.log"
            command = [sys.executable, "-m", "workers", study, f"--threads={threads}", *extra]
            with log.open("ab") as file:
                processes.append(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=None if show else file,
                        env=environment,
                    )
                )
            logs.append(log)
        return cls(processes, logs)

    def alive(self) -> int:
        """Return how many still run."""
        return sum(process.poll() is None for process in self.processes)

    def failure(self) -> tuple[int, str] | None:
        """Return exit code and last words of a worker that ended badly, or None."""
        for process, log in zip(self.processes, self.logs, strict=True):
            code = process.poll()
            if code not in (None, 0):
                lines = log.read_text("utf-8", "replace").strip().splitlines()
                last = lines[-1] if lines else f"no message; see {log}"
                return code, last.removeprefix("trainstack: ")
        return None

    def interrupt(self) -> None:
        """Let every worker give back what it holds and leave; end those that do not."""
        self._signal(signal.SIGINT)
        self.wait(LEAVE_SECONDS)
        for process in self.processes:
            if process.poll() is None:
                process.kill()

    def _signal(self, number: int) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    def wait(self, at_most_seconds: float) -> None:
        """Wait until all have left, or for so long."""
        until = time.monotonic() + at_most_seconds
        for process in self.processes:
            try:
                process.wait(max(0.01, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue


def cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
