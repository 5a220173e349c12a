"""Worker processes on this machine, started by the command line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from trainstack.search.processes import interrupts_blocked

# Seconds that workers may take to return their trials when they must exit at once.
LEAVE_SECONDS = 20.0
# Message on interruption of the command that runs them.
FAREWELL = (
    "interrupted: running trials went back to the queue; repeat the command to resume the study"
)


class Workers(Protocol):
    """The workers that a command manages, wherever they run."""

    wanted: int

    def keep(self, count: int) -> None: ...
    def alive(self) -> int: ...
    def failure(self) -> tuple[int, str] | None: ...
    def wait(self, at_most_seconds: float) -> None: ...
    def finish(self, seconds: float) -> None: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...


@dataclass
class LocalWorkers:
    """Worker processes and their log files.

    Attributes:
        url: Storage URL with its password; passed through standard input, since every user of the
            machine can read a process's arguments. None: the study does not exist yet, and the
            workers wait until `join` gives the URL.
        study: Name of the study.
        extra: Further arguments of `python -m trainstack.workers`.
        show: Write to this command's standard error instead of log files.
        processes: Workers that should keep running.
        logs: Log file of each worker.
        leaving: Workers that were asked to finish their trial and exit.
        wanted: Target number of workers.
    """

    url: str | None
    study: str
    extra: tuple[str, ...] = ()
    show: bool = False
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    leaving: list[subprocess.Popen[bytes]] = field(default_factory=list)
    wanted: int = 0

    @classmethod
    def start(
        cls,
        url: str | None,
        study: str,
        count: int,
        extra: tuple[str, ...] = (),
        show: bool = False,
    ) -> LocalWorkers:
        """Start `count` workers that share the machine's cores; other arguments: see attributes."""
        made = cls(url, study, extra, show)
        made.keep(count)
        return made

    def join(self, url: str, count: int) -> LocalWorkers:
        """Let workers that were started before their study join it; return `count` workers."""
        self.url = url
        for process in self.everyone:
            self._tell(process)
        self.keep(count)
        return self

    def _tell(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:  # it may have ended
            stdin.write(f"{self.url}\n".encode())

    def keep(self, count: int) -> None:
        """Scale to `count` workers: start more, or let the latest finish their trial and exit."""
        self.wanted = count
        while len(self.processes) > count:
            process = self.processes.pop()
            self.logs.pop()
            self.leaving.append(process)
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        while len(self.processes) < count:
            self._start_one(max(1, cores() // count))

    def _start_one(self, threads: int) -> None:
        from trainstack.search.artifact_names import folder_of
        from trainstack.search.database.connection import home

        folder = home() / "logs" / folder_of(self.study)
        folder.mkdir(parents=True, exist_ok=True)
        place = len(self.processes) + len(self.leaving)
        log = folder / f"worker-{os.getpid()}-{place}.log"
        command = [
            sys.executable,
            "-m",
            "trainstack.workers",
            self.study,
            f"--threads={threads}",
            "--storage-from-input",
            *self.extra,
        ]
        with log.open("ab") as file, interrupts_blocked():
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=None if self.show else file,
            )
        self.processes.append(process)
        self.logs.append(log)
        if self.url is not None:
            self._tell(process)

    @property
    def everyone(self) -> list[subprocess.Popen[bytes]]:
        """All processes, including those that are leaving."""
        return [*self.processes, *self.leaving]

    def alive(self) -> int:
        """Return the number of running workers."""
        return sum(process.poll() is None for process in self.everyone)

    def failure(self) -> tuple[int, str] | None:
        """Return exit code and last line of a worker that failed, or None."""
        for process, log in zip(self.processes, self.logs, strict=True):
            code = process.poll()
            if code not in (None, 0):
                lines = log.read_text("utf-8", "replace").strip().splitlines()
                last = lines[-1].removeprefix("trainstack: ") if lines else "no message"
                return code, f"{last} (its log: {log})" if len(lines) != 1 else last
        return None

    def worst_exit_code(self) -> int:
        """Return the worst exit code of the workers not asked to leave, by the shell's rule."""
        codes = [process.wait() for process in self.processes]
        return max((code if code >= 0 else 128 - code for code in codes), default=0)

    def finish(self, seconds: float) -> None:
        """Shut down the workers after the study is over; kill those that do not exit."""
        self.send(signal.SIGTERM)  # idle workers poll only occasionally
        self.wait(seconds)
        self.interrupt()

    def interrupt(self) -> None:
        """Let every worker return its trial and exit; kill those that do not."""
        self.send(signal.SIGINT)
        self.wait(LEAVE_SECONDS)
        for process in self.everyone:
            if process.poll() is None:
                process.kill()

    def close(self) -> None:
        """End all workers; those that never joined leave no file."""
        self.interrupt()
        if self.url is None and self.logs:
            for log in self.logs:
                log.unlink()
            with contextlib.suppress(OSError):  # folders that hold something else stay
                for folder in self.logs[0].parents[:3]:  # of the study, of all logs, and the home
                    folder.rmdir()

    def send(self, number: int) -> None:
        """Send a signal to all running workers."""
        for process in self.everyone:
            if process.poll() is None:
                process.send_signal(number)

    def wait(self, at_most_seconds: float) -> None:
        """Wait until all have exited, for at most `at_most_seconds`."""
        until = time.monotonic() + at_most_seconds
        for process in self.everyone:
            try:
                process.wait(max(0.01, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
