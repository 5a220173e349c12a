"""What our processes have in common: how they begin, what signals mean, how modules are found.

Everything here is at hand before anything slow is imported.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

# Where the fork server of this command's workers listens; unset: there is none.
FORK_SERVER = "TRAINSTACK_FORK_SERVER"
# Two signals so close together are one: the terminal and a launcher both pass Ctrl-C on.
ECHO_SECONDS = 1.0


def environment(**extra: str) -> dict[str, str]:
    """Return this process's variables with some more, for a child process."""
    return {**os.environ, **extra}


def open_streams() -> None:
    """Open standard input, output and error on the null device where they are closed.

    To be done before anything else is opened: a file or a socket would get their descriptors, and
    a child process would find it in their place.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest that is free, which is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


@contextlib.contextmanager
def sheltered() -> Iterator[None]:
    """Keep Ctrl-C from the processes that are started in here, until each calls `heeding`.

    A terminal interrupts every process of the command, and Python answers with a traceback where
    our code has not been reached yet. The signal waits instead: blocked, which a process inherits.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def heeding() -> None:
    """Let Ctrl-C through, now that it is handled: also one that came before."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def endings() -> list[int]:
    """Return the signals that mean an interruption, less those that are to be ignored.

    `nohup` ignores a terminal that closes; a shell that starts something with `&`, Ctrl-C.
    """
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # the last is not on Windows
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
