"""Real worker processes whose trainers follow simulated curves, and their state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import psutil
from sqlalchemy import URL

from tests.support import fake_bench, studies
from tests.support.studies import agrees, spec_of
from trainstack.search.database.connection import ARTIFACTS, HOME, STORAGE, engine, exported
from trainstack.search.json_values import json_safe
from trainstack.search.queue import queries
from trainstack.search.studies.actions import create_study

# Long enough for a busy machine; normally no test waits this long.
PATIENCE_SECONDS = 240.0
LEASE_SECONDS = 3.0


class Fleet:
    """Worker processes of one study."""

    def __init__(self, url: URL, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.engine = engine(url)
        self.processes: list[subprocess.Popen[bytes]] = []

    def create(self, **changes: Any) -> None:
        """Create the study `s`; no references, one confirmation seed."""
        create_study(self.url, spec_of(**{"replicates": 1, **changes}), first=())

    def join(
        self,
        *flags: str,
        url: URL | None = None,
        fake: bool = True,
        before: tuple[str, ...] = (),
        settings: Mapping[str, str] | None = None,
        **canned: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a worker.

        Args:
            *flags: Its arguments.
            url: The database, as it is to reach it.
            fake: Whether its trainer only follows canned curves.
            before: The command that it stands in.
            settings: Further environment variables.
            **canned: What its trainer does.
        """
        environment = {
            **os.environ,
            STORAGE: exported(url or self.url),
            HOME: str(self.folder / "home"),
            ARTIFACTS: str(self.folder / "artifacts"),
            **(fake_bench.fake(**canned) if fake else {}),
            **(settings or {}),
        }
        log = self.folder / f"worker-{len(self.processes)}.log"
        command = [
            sys.executable,
            "-m",
            "trainstack.workers",
            "s",
            "--threads=1",
            "--log-level=INFO",
        ]
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*before, *command, f"--lease={LEASE_SECONDS}", *flags],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self.processes.append(process)
        return process

    def log(self, process: subprocess.Popen[bytes]) -> str:
        """Return a worker's output."""
        return (self.folder / f"worker-{self.processes.index(process)}.log").read_text()

    def status(self) -> dict[str, Any]:
        """Return the study's status as JSON after checking that it adds up."""
        return agrees(self.engine)

    def until(self, true: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Wait until a condition holds for the status, and return that status."""
        limit = time.monotonic() + PATIENCE_SECONDS
        while not true(status := self.status()):
            assert time.monotonic() < limit, (status, self.logs())
            time.sleep(0.05)
        return status

    def training(self) -> dict[str, Any]:
        """Wait until a trial is running and has measured an epoch."""
        found: list[dict[str, Any]] = []

        def seen(_: object) -> bool:
            found[:] = [t for t in self.trials() if t["outcome"] == "running" and t["curve"]]
            return bool(found)

        self.until(seen)
        return found[0]

    def concluded(self) -> dict[str, Any]:
        """Wait until the study is over and its workers have left by themselves."""
        status = self.until(lambda status: status["concluded"])
        for process in self.processes:
            process.wait(PATIENCE_SECONDS)
        return status

    def trials(self) -> list[dict[str, Any]]:
        """Return the search trials as JSON."""
        return json_safe(queries.trials(self.engine, "s"))

    def optuna(self) -> optuna.Study:
        """Export the study and load it through Optuna's own function."""
        return studies.exported(self.url)

    def logs(self) -> str:
        """Return the last output of all workers."""
        return "\n".join(
            f"{log.name}: {log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.log"))
        )

    def close(self) -> None:
        """End all running workers."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.engine.dispose()


def trainer_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    """Return a worker's trainer."""
    (trainer,) = [
        child
        for child in psutil.Process(process.pid).children()
        if "spawn_main" in " ".join(child.cmdline())
    ]
    return trainer
