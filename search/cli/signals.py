"""What a signal does to the command where nothing else is arranged: one line, and exit code 130.

The command's entry imports this before anything slow, so it imports next to nothing itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from types import FrameType
from typing import Any

from trainstack.search.processes import ECHO_SECONDS, interruption_signals

INTERRUPTED = 130
# Delay after which an interruption lost in a library's clean-up is raised again.
_AGAIN_SECONDS = 0.01


class _State:
    line = "interrupted"
    told_at: float | None = None
    numbers: tuple[int, ...] = ()


def heed() -> None:
    """From now on SIGINT, SIGTERM and SIGHUP interrupt the command.

    The line is written at once, and what comes after it on standard error goes nowhere: raised
    wherever the program happens to be, an interruption can land in the midst of a library that
    writes a traceback of it. The clean-up goes on as for every exception.
    """
    _State.numbers = tuple(interruption_signals())
    for number in _State.numbers:
        signal.signal(number, _interrupt)
    sys.unraisablehook = _raise_again


def say(line: str) -> None:
    """Have an interruption say this from now on, such as how to go on with the study."""
    _State.line = line


def told() -> bool:
    """True when a signal has interrupted the command."""
    return _State.told_at is not None


def ignore() -> None:
    """Let signals pass from now on: the process is ending, and closes what it has opened."""
    for number in _State.numbers:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _State.told_at is None:
        with contextlib.suppress(OSError):
            os.write(2, f"trainstack: {_State.line}\n".encode())
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    elif now - _State.told_at < ECHO_SECONDS:
        return
    _State.told_at = now
    raise KeyboardInterrupt


def _raise_again(lost: Any) -> None:
    """Interrupt once more where Python could not raise: in a finalizer, or a weak reference's."""
    if not issubclass(lost.exc_type, KeyboardInterrupt) or not _State.numbers:
        sys.__unraisablehook__(lost)
        return
    from threading import Timer

    _State.told_at = float("-inf")
    # To the process: a system call that its first thread waits in ends too
    again = Timer(_AGAIN_SECONDS, os.kill, [os.getpid(), _State.numbers[0]])
    again.daemon = True
    again.start()
