"""Standard streams, signals and environment of all processes of this package.

This module imports nothing slow.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

# Signals within this time count as one: terminal and launcher both send Ctrl-C.
ECHO_SECONDS = 1.0


def environment(**extra: str) -> dict[str, str]:
    """Return the environment for a child process, with further variables."""
    return {**os.environ, **extra}


def open_streams() -> None:
    """Open standard input, output and error on the null device if they are closed.

    Call this before opening anything else: a file or a socket would get their descriptors, and a
    child process would use it in their place.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # `open` returns the lowest free descriptor, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


@contextlib.contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C in processes started in this context, until they call `unblock_interrupts`.

    A terminal interrupts every process of the command, and Python prints a traceback while it is
    still starting. The signal stays pending instead: child processes inherit the blocked mask.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_interrupts() -> None:
    """Deliver Ctrl-C again, including one that is pending."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def exit_signals() -> list[int]:
    """Return SIGCHLD, sent when a child process ends; nothing on Windows."""
    number = getattr(signal, "SIGCHLD", None)
    return [] if number is None else [number]


def interruption_signals() -> list[int]:
    """Return the signals that mean an interruption, without those that are ignored.

    `nohup` ignores SIGHUP; a shell that starts a command with `&` ignores SIGINT.
    """
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # the last is not on Windows
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
