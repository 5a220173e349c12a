"""The actor that Ray places: it has one child, the ordinary worker, and nothing to do with trials.

What a worker may know that others may not (the storage's password) comes in the arguments of the
constructor, which Ray keeps for restarts and shows nowhere, and goes on in the child's environment.
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

# Exit codes of a worker that has nothing more to do here; after another Ray restarts the actor.
FINAL = (0, 2, 4, 130)
# Restarts by Ray that an actor gets; a worker whose database is away leaves after half a minute.
RESTARTS = 100
# How long an actor stays when its worker has ended, so that a driver can ask how.
LINGER_SECONDS = 10.0
# Of a log file, what one answer carries at most.
MOST_BYTES = 65536


@dataclass(frozen=True)
class Order:
    """What an actor is to do.

    Attributes:
        study: Which study.
        name: Of the actor.
        flags: Further arguments of `python -m trainstack.workers`.
        gpus: The fraction of a GPU that is the worker's; 0: none.
        environment: Further variables of the worker; secrets are among them.
    """

    study: str
    name: str
    flags: tuple[str, ...] = ()
    gpus: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class TrainstackWorker:
    """Runs `python -m trainstack.workers` for as long as it has something to do.

    Args:
        order: What to run.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._guard = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._told_to_leave = self._again = False
        self.begin()

    def begin(self) -> None:
        """Start the worker, unless it runs; one that was told to leave is followed by another."""
        with self._guard:
            if self._child is not None and self._child.poll() is None:
                self._again = self._told_to_leave
                return
            self._told_to_leave = self._again = False
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
                stdin=subprocess.PIPE,  # its end is how the worker hears of ours
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
        """Say how the worker fares.

        Args:
            seen: How many bytes of which log file the asker has.

        Returns:
            `host`, `pid`, `code` (its exit code, once its log has been told; None before), and of
            its `log` the name, the place and the next bytes.
        """
        at = seen.get(self._log.name, 0)
        with self._log.open("rb") as file:
            file.seek(at)
            ended = self._ended  # before reading: what is written later is read next time
            text = file.read(MOST_BYTES)
        code = ended if len(text) < MOST_BYTES else None
        assert self._child is not None
        log = {"name": self._log.name, "at": at, "text": text}
        return {"host": socket.gethostname(), "pid": self._child.pid, "code": code, "log": log}

    def leave(self, number: int) -> None:
        """Pass a signal on to the worker, after which it is not started again."""
        self._told_to_leave = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def _watch(self, child: subprocess.Popen[bytes], log: Path) -> None:
        """Copy what the worker says into its file and Ray's, then see to its ending."""
        assert child.stderr is not None
        with log.open("ab", buffering=0) as file:
            for line in child.stderr:
                file.write(line)
                with contextlib.suppress(OSError):
                    os.write(2, line)
        code = child.wait()
        if code not in FINAL and not self._told_to_leave:
            os._exit(1)  # a crash, or a database that is away: Ray restarts us, here or elsewhere
        if self._again:
            self.begin()
            return
        self._ended = code
        time.sleep(LINGER_SECONDS)
        while self._child is child:
            _end_this_actor()
            time.sleep(LINGER_SECONDS)


def device_flags(fraction: float) -> list[str]:
    """Return the arguments that give a worker its part of the GPU that Ray assigned.

    Args:
        fraction: Of a GPU, from 0 to 1; below 1 the worker may take this part of its memory.
    """
    if not fraction:
        return []
    (gpu, *_) = _assigned_gpus()
    flags = [f"--gpu={gpu}"]
    if fraction < 1 and (total := _memory_mb(gpu)):
        flags.append(f"--memory-mb={int(total * fraction)}")
    return flags


def _log_folder(order: Order) -> Path:
    from trainstack.search.artifacts import folder_of
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
    """Return the memory of a GPU in MiB, as its driver says it."""
    command = ["nvidia-smi", f"--id={gpu}", "--query-gpu=memory.total"]
    try:
        said = subprocess.run(
            [*command, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
        return int(said.split()[0])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
