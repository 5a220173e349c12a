"""Delivery of Ctrl-C at safe points only."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from types import FrameType, TracebackType
from typing import Any

from trainstack.search.cli import signals
from trainstack.search.processes import ECHO_SECONDS

VIEW_ENDED = "interrupted: the view has ended, the study continues"


class Interruption:
    """Context in which signals raise KeyboardInterrupt in `pause` only, between two queries.

    Raised elsewhere, an interruption can hit a library's clean-up code, which then prints a
    traceback. A second signal interrupts at once, in case the program hangs.

    Args:
        numbers: The signals.
        waking: Further signals, which only end a pause early.

    Attributes:
        interrupted: True if one of the signals has arrived since the context was entered.
    """

    def __init__(self, *numbers: int, waking: Sequence[int] = ()) -> None:
        self.numbers = numbers
        self.waking = waking
        self.interrupted = False
        self._received_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        signals.check()
        # Handlers may use no lock: they run in the thread that they interrupt, which may hold it.
        self._waiter, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._before = {number: signal.signal(number, self._receive) for number in self.numbers}
        self._before |= {number: signal.signal(number, self._wake) for number in self.waking}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._waiter.close()
        self._waker.close()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        self._wake(number, frame)
        if not self.interrupted:
            self._received_at = now
            self.interrupted = True
        elif now - self._received_at > ECHO_SECONDS:
            raise KeyboardInterrupt

    def _wake(self, number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):  # as many as fit have not been seen yet
            self._waker.send(b"\0")

    def pause(self, seconds: float) -> None:
        """Wait for a number of seconds, or until a waking signal arrives.

        Raises:
            KeyboardInterrupt: One of the signals has arrived since the context was entered.
        """
        self._waiter.settimeout(seconds)
        with contextlib.suppress(TimeoutError, BlockingIOError):  # the latter for 0 seconds
            self._waiter.recv(4096)
        if self.interrupted:
            raise KeyboardInterrupt


@contextlib.contextmanager
def viewing() -> Iterator[Interruption]:
    """Let Ctrl-C end a view, with one line which says that the study continues.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    from trainstack.search.cli.common import err

    with Interruption(signal.SIGINT) as interruption:
        try:
            yield interruption
        except KeyboardInterrupt:
            err().print(f"trainstack: {VIEW_ENDED}", markup=False)
            raise
