"""Starting this machine's workers for `trainstack worker`."""

from __future__ import annotations

import signal
import subprocess
from typing import Any

from search.cli.local import LocalWorkers
from spaces.errors import RequestError

POLL_SECONDS = 1.0


def join(
    storage: str | None,
    study: str,
    gpus: str,
    count: int,
    max_trials: int | None,
    drain_timeout: float,
) -> int:
    """Run workers until they end; return the worst of their exit codes.

    Raises:
        RequestError: `--gpus` cannot be read, or a number is not there.
        StudyError: There is no such study.
    """
    from search.fleet import inspect
    from search.fleet.connect import engine, exported, guarded, storage_url
    from search.fleet.tables import ensure

    url = storage_url(storage)
    with guarded(url):
        here = engine(url)
        ensure(here)
        inspect.spec_of(here, study)
        here.dispose()
    flags = [f"--drain-timeout={drain_timeout}", "--log-level=INFO"]
    if max_trials is not None:
        flags.append(f"--max-trials={max_trials}")
    groups = []
    chosen = chosen_gpus(gpus, installed_gpus())
    if chosen:
        groups = [
            LocalWorkers.start(exported(url), study, 1, (*flags, f"--gpu={gpu}"), show=True)
            for gpu in chosen
        ]
    else:
        groups = [LocalWorkers.start(exported(url), study, count, tuple(flags), show=True)]
    processes = [process for group in groups for process in group.processes]
    _pass_on_signals(processes)
    codes = [process.wait() for process in processes]
    return max((code if code >= 0 else 128 - code for code in codes), default=0)


def _pass_on_signals(processes: list[subprocess.Popen[bytes]]) -> None:
    def pass_on(number: int, frame: Any) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    # The terminal sends Ctrl-C to the workers too; being told twice, they leave at once.
    signal.signal(signal.SIGINT, pass_on)


def installed_gpus() -> tuple[str, ...]:
    """Return the numbers of this machine's NVIDIA GPUs, as their driver lists them."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in listed.splitlines() if line.strip())


def chosen_gpus(flag: str, installed: tuple[str, ...]) -> tuple[str, ...]:
    """Read `--gpus`.

    Args:
        flag: `all`, `none`, or numbers with commas.
        installed: Numbers of the GPUs that are there.

    Returns:
        The numbers to use; empty: the CPU.

    Raises:
        RequestError: It cannot be read, or a number is not there.
    """
    if flag == "none":
        return ()
    if flag == "all":
        return installed
    numbers = tuple(part.strip() for part in flag.split(","))
    for number in numbers:
        if not number.isdigit():
            raise RequestError(f"--gpus {flag!r}", "all, none, or numbers such as 0,1")
        if number not in installed:
            there = ", ".join(installed) or "none"
            raise RequestError(f"--gpus {number}", f"a GPU that is here: {there}", "try none")
    return numbers
