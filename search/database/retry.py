"""Waiting for what is away, but not for ever, and without being deaf to signals.

libpq waits inside C code: for a server that vanished without a word for up to a quarter of an hour,
during which Python runs no signal handler. psycopg2 lets the program do the waiting instead.
"""

from __future__ import annotations

import logging
import random
import select
import signal
import time
from collections.abc import Callable
from typing import Any, TypeVar

from trainstack.spaces.errors import StorageAwayError

log = logging.getLogger("trainstack.worker")

# The longest answer that is waited for; a claim among hundreds of workers takes a second or two.
MOST_SECONDS = 30.0
# How long a worker that starts waits for a database that is away, and its first and longest pause.
START_SECONDS = 30.0
_FIRST_SECONDS, _LONGEST_SECONDS = 0.5, 10.0

T = TypeVar("T")


def install(most_seconds: float = MOST_SECONDS) -> None:
    """From now on give a silent server up after so long, in this whole process."""
    import psycopg2
    from psycopg2 import extensions

    events = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}

    def wait(connection: Any) -> None:
        while (state := connection.poll()) != extensions.POLL_OK:
            poll = select.poll()  # unlike select.select it takes any file descriptor
            poll.register(connection.fileno(), events[state])
            if not poll.poll(most_seconds * 1000):
                raise psycopg2.OperationalError(f"silent for {most_seconds:g} s")

    extensions.set_wait_callback(wait)


def hangups() -> list[int]:
    """Return the signal of a terminal that closes, unless it is to be ignored, as `nohup` wants."""
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    return [] if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN else [hangup]


def patiently(action: Callable[[], T], most_seconds: float) -> T:
    """Do something; where the storage is away try again, ever less often, for so long.

    Args:
        action: What to do; safe to repeat.
        most_seconds: 0: try once.

    Raises:
        StorageAwayError: It was away all the time.
    """
    until, pause = time.monotonic() + most_seconds, _FIRST_SECONDS
    while True:
        try:
            return action()
        except StorageAwayError as error:
            left = until - time.monotonic()
            if left <= 0:
                raise
            if pause == _FIRST_SECONDS:
                log.warning("%s: trying again for %.0f s", error, left)
        # Not all in one moment: a whole fleet may be waiting.
        time.sleep(min(left, random.uniform(0.5, 1.0) * pause))
        pause = min(2 * pause, _LONGEST_SECONDS)
