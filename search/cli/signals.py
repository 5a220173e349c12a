"""Default handling of signals: print one line and exit with code 130.

The entry point imports this module first, so it must import quickly.
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
# Delay before an interruption lost in a library's clean-up is raised again.
_AGAIN_SECONDS = 0.01


class _State:
    line = "interrupted"
    interrupted_at: float | None = None
    numbers: tuple[int, ...] = ()


def install() -> None:
    """Let SIGINT, SIGTERM and SIGHUP interrupt the command.

    The handler prints its line at once and discards all later output on standard error, because a
    library that is interrupted in its clean-up may print a traceback. Clean-up runs as for every
    exception.
    """
    _State.numbers = tuple(interruption_signals())
    for number in _State.numbers:
        signal.signal(number, _interrupt)
    sys.unraisablehook = _raise_again


def say(line: str) -> None:
    """Set the line printed on interruption, such as how to resume the study."""
    _State.line = line


def interrupted() -> bool:
    """Return True if a signal has interrupted the command."""
    return _State.interrupted_at is not None


def check() -> None:
    """Raise an interruption that was lost: some libraries catch everything while they are imported.

    Raises:
        KeyboardInterrupt: A signal has interrupted the command, which still runs.
    """
    if interrupted():
        raise KeyboardInterrupt


def ignore() -> None:
    """Ignore further signals while the process shuts down."""
    for number in _State.numbers:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _State.interrupted_at is None:
        with contextlib.suppress(OSError):
            os.write(2, f"trainstack: {_State.line}\n".encode())
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    elif now - _State.interrupted_at < ECHO_SECONDS:
        return
    _State.interrupted_at = now
    raise KeyboardInterrupt


def _raise_again(lost: Any) -> None:
    """Repeat an interruption that Python could not raise in a finalizer or weakref callback."""
    if not issubclass(lost.exc_type, KeyboardInterrupt) or not _State.numbers:
        sys.__unraisablehook__(lost)
        return
    from threading import Timer

    _State.interrupted_at = float("-inf")
    # A signal to the process also ends a system call in its main thread.
    again = Timer(_AGAIN_SECONDS, os.kill, [os.getpid(), _State.numbers[0]])
    again.daemon = True
    again.start()
