"""The GPUs of this machine, and which of them workers use."""

from __future__ import annotations

import subprocess

from trainstack.spaces.errors import RequestError


def installed_gpus() -> tuple[str, ...]:
    """Return the indices of this machine's NVIDIA GPUs, as listed by nvidia-smi."""
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
        flag: `all`, `none`, or numbers separated by commas.
        installed: Numbers of the installed GPUs.

    Returns:
        The GPUs to use; empty: the CPU.

    Raises:
        RequestError: The flag cannot be read, or a GPU does not exist.
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
            raise RequestError(f"--gpus {number}", f"an installed GPU: {there}", "try none")
    return numbers
