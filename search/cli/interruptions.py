"""Ctrl-C that waits for a moment that fits, and what a view says of it."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from trainstack.search.processes import ECHO_SECONDS

# What a view says when it is interrupted.
VIEW_ENDED = "interrupted: the view has ended, the study goes on"


class Interruption:
    """While it is entered, signals interrupt in `pause` alone: between two looks at a study.

    Raised wherever the program happens to be, an interruption can land in the midst of a library's
    clean-up, which then writes a traceback of it. Whoever insists, a second time, interrupts at
    once: what hangs never pauses.

    Args:
        numbers: The signals.
    """

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self._told = threading.Event()
        self._told_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        self._before = {number: signal.signal(number, self._heed) for number in self.numbers}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def told(self) -> bool:
        """True when one of the signals has come since it was entered."""
        return self._told.is_set()

    def _heed(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._told.is_set():
            self._told_at = now
            self._told.set()
        elif now - self._told_at > ECHO_SECONDS:
            raise KeyboardInterrupt

    def pause(self, seconds: float) -> None:
        """Wait for so long.

        Raises:
            KeyboardInterrupt: One of the signals has come, now or since it was entered.
        """
        if self._told.wait(seconds):
            raise KeyboardInterrupt


@contextlib.contextmanager
def viewing() -> Iterator[Interruption]:
    """Let Ctrl-C end a view, which says in one line that nothing else has ended.

    Raises:
        KeyboardInterrupt: Ctrl-C has come.
    """
    from trainstack.search.cli.common import err

    with Interruption(signal.SIGINT) as interruption:
        try:
            yield interruption
        except KeyboardInterrupt:
            err().print(f"trainstack: {VIEW_ENDED}", markup=False)
            raise
