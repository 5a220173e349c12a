"""Waiting for the database, but not for ever, and without being deaf to signals.

libpq waits inside C code: for a server that vanished without a word for up to a quarter of an hour,
during which Python runs no signal handler. psycopg2 lets the program do the waiting instead.
"""

from __future__ import annotations

import select
from typing import Any

# The longest answer that is waited for; a claim among hundreds of workers takes a second or two.
MOST_SECONDS = 30.0


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
