"""The actor that Ray places: it runs the ordinary worker as a child process.

Secrets such as the storage's password come in the arguments of the constructor, which Ray keeps for
restarts and shows nowhere, and are passed on in the child's environment.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainstack.search.ray.connection import ray

# Exit codes after which a worker is not restarted; after any other, Ray restarts the actor.
FINAL = (0, 2, 4, 130)
# Ray's limit of restarts; a worker leaves after half a minute without its database.
RESTARTS = 100
# How long an actor stays after its worker has ended, so that a driver can read the exit code.
LINGER_SECONDS = 10.0
# Most bytes of a log file in one reply.
MOST_BYTES = 65536


@dataclass(frozen=True)
class Order:
    """Instructions for an actor.

    Attributes:
        study: Name of the study.
        name: Name of the actor.
        flags: Further arguments of `python -m trainstack.workers`.
        gpus: The worker's fraction of a GPU; 0: none.
        environment: Further environment variables of the worker, including secrets.
    """

    study: str
    name: str
    flags: tuple[str, ...] = ()
    gpus: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class TrainstackWorker:
    """Runs `python -m trainstack.workers` until it has no more work.

    Args:
        order: The instructions.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._guard = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._leaving = self._again = False
        self.begin()

    def begin(self) -> None:
        """Start the worker unless it is running; if it is leaving, start another one afterwards."""
        with self._guard:
            if self._child is not None and self._child.poll() is None:
                self._again = self._leaving
                return
            self._leaving = self._again = False
            folder = _log_folder(self._order)
            command = [
                sys.executable,
                "-m",
                "trainstack.workers",
                self._order.study,
                *self._order.flags,
            ]
            child = self._child = subprocess.Popen(
                [*command, "--leave-with-parent", *device_flags(self._order.gpus)],
                stdin=subprocess.PIPE,  # the worker detects the actor's end by its closing
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, **self._order.environment},
            )
            where = f"{socket.gethostname()}-{child.pid}"
            self._log = folder / f"ray-{self._order.name}-{where}.log"
            self._log.touch()
            self._ended: int | None = None
        threading.Thread(target=self._watch, args=(child, self._log), daemon=True).start()

    def look(self, seen: Mapping[str, int]) -> dict[str, Any]:
        """Return the worker's state and the next part of its log.

        Args:
            seen: Number of bytes that the caller has of each log file.

        Returns:
            `host`, `pid`, `code` (the exit code, once the log has been read; None before), and
            `log`: name, offset and the next bytes.
        """
        at = seen.get(self._log.name, 0)
        with self._log.open("rb") as file:
            file.seek(at)
            ended = self._ended  # before reading, so that later output is read by the next call
            text = file.read(MOST_BYTES)
        code = ended if len(text) < MOST_BYTES else None
        assert self._child is not None
        log = {"name": self._log.name, "at": at, "text": text}
        return {"host": socket.gethostname(), "pid": self._child.pid, "code": code, "log": log}

    def leave(self, number: int) -> None:
        """Send a signal to the worker, which is then not restarted."""
        self._leaving = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def _watch(self, child: subprocess.Popen[bytes], log: Path) -> None:
        """Copy the worker's output to its log file and Ray's, and handle its exit."""
        assert child.stderr is not None
        with log.open("ab", buffering=0) as file:
            for line in child.stderr:
                file.write(line)
                with contextlib.suppress(OSError):
                    os.write(2, line)
        code = child.wait()
        if code not in FINAL and not self._leaving:
            os._exit(1)  # crash or unavailable database: Ray restarts the actor, here or elsewhere
        if self._again:
            self.begin()
            return
        self._ended = code
        time.sleep(LINGER_SECONDS)
        while self._child is child:
            _end_this_actor()
            time.sleep(LINGER_SECONDS)


def device_flags(fraction: float) -> list[str]:
    """Return the arguments that assign a worker its fraction of the GPU chosen by Ray.

    Args:
        fraction: Fraction of a GPU, from 0 to 1, and of its memory.
    """
    if not fraction:
        return []
    (gpu, *_) = _assigned_gpus()
    flags = [f"--gpu={gpu}"]
    if fraction < 1 and (total := _memory_mb(gpu)):
        flags.append(f"--memory-mb={int(total * fraction)}")
    return flags


def _log_folder(order: Order) -> Path:
    from trainstack.search.artifact_names import folder_of
    from trainstack.search.database.connection import HOME, home

    here = Path(order.environment[HOME]) if HOME in order.environment else home()
    folder = here / "logs" / folder_of(order.study)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _end_this_actor() -> None:
    me = ray().get_runtime_context().current_actor
    ray().kill(me, no_restart=True)


def _assigned_gpus() -> list[str]:
    return ray().get_runtime_context().get_accelerator_ids()["GPU"]


def _memory_mb(gpu: str) -> int | None:
    """Return the memory of a GPU in MiB as its driver reports it; None if unknown."""
    command = ["nvidia-smi", f"--id={gpu}", "--query-gpu=memory.total"]
    try:
        output = subprocess.run(
            [*command, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
        return int(output.split()[0])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
