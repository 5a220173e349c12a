"""Bounded, interruptible retries while the database is unavailable.

libpq waits inside C code: up to a quarter of an hour for a vanished server, during which Python
runs no signal handler. psycopg2 lets the program wait instead.
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

# Timeout of a database call; a claim among hundreds of workers takes a second or two.
MOST_SECONDS = 30.0
# How long a starting worker waits for an unavailable database; its first and longest pause.
START_SECONDS = 30.0
_FIRST_SECONDS, _LONGEST_SECONDS = 0.5, 10.0

T = TypeVar("T")


def install(most_seconds: float = MOST_SECONDS) -> None:
    """Time out unresponsive database calls in this process after `most_seconds`."""
    import psycopg2
    from psycopg2 import extensions

    events = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}

    def wait(connection: Any) -> None:
        while (state := connection.poll()) != extensions.POLL_OK:
            poll = select.poll()  # unlike select.select it takes any file descriptor
            poll.register(connection.fileno(), events[state])
            if not poll.poll(most_seconds * 1000):
                raise psycopg2.OperationalError(f"timed out after {most_seconds:g} s")

    extensions.set_wait_callback(wait)


def hangups() -> list[int]:
    """Return SIGHUP, sent when a terminal closes, unless it is ignored, as by `nohup`."""
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    return [] if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN else [hangup]


def patiently(action: Callable[[], T], most_seconds: float) -> T:
    """Call a function, and repeat it with growing pauses while the storage is unavailable.

    Args:
        action: The function; must be safe to repeat.
        most_seconds: Time limit; 0: call once.

    Raises:
        StorageAwayError: The storage stayed unavailable.
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
        # Jitter, as a whole fleet may be waiting.
        time.sleep(min(left, random.uniform(0.5, 1.0) * pause))
        pause = min(2 * pause, _LONGEST_SECONDS)
