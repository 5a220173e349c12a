"""The loop that polls a study, for every verb that shows or serves one while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from trainstack.spaces.errors import StorageAwayError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

    from trainstack.search.queue.status import StudyStatus

T = TypeVar("T")


@dataclass(frozen=True)
class Polling:
    """When to read a study again, and when to stop.

    Attributes:
        pause: Waits for a number of seconds between two reads; may raise KeyboardInterrupt.
        seconds: Least interval between two reads.
        cost_times: Least interval, as a multiple of the time that a read and its use took.
        away_seconds: How long the database may be away.
        going: Called before each read; polling ends when it returns a false value.
    """

    pause: Callable[[float], object]
    seconds: float = 0.5
    cost_times: float = 0.0
    away_seconds: float = 0.0
    going: Callable[[], object] = lambda: True

    def of(self, url: URL, read: Callable[[], T]) -> Iterator[T]:
        """Yield what `read` returns, again and again; nothing while the database is away.

        Args:
            url: The database.
            read: Reads something from it.

        Raises:
            StorageAwayError: The database has been away for too long.
        """
        from trainstack.search.database.connection import guarded

        away_since = None
        while self.going():
            began = time.monotonic()
            try:
                with guarded(url):
                    found = read()
            except StorageAwayError:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since >= self.away_seconds:
                    raise
            else:
                away_since = None
                yield found
            self.pause(max(self.seconds, self.cost_times * (time.monotonic() - began)))

    def statuses(self, engine: Engine, study: str) -> Iterator[StudyStatus]:
        """Yield a study's status again and again, for the last time when the study is over.

        Raises:
            StorageAwayError: The database has been away for too long.
            StudyError: There is no such study.
        """
        from trainstack.search.queue import queries

        for status in self.of(engine.url, lambda: queries.status(engine, study)):
            yield status
            if over(status):
                return


def over(status: StudyStatus) -> bool:
    """Return True when a study is concluded, or stopped and without workers.

    After `stop` workers finish their trials and the study proceeds to its confirmation; after
    `cancel` they exit.
    """
    if status.concluded:
        return True
    here = any(worker.state != "lost" for worker in status.workers)
    return status.state == "stopped" and not here


def when_changed(found: Iterable[T], key: Callable[[T], Any]) -> Iterator[T]:
    """Yield the first of what was found, and each whose key differs from that before it.

    >>> list(when_changed(["a", "A", "b", "a"], str.lower))
    ['a', 'b', 'a']
    """
    last: Any = object()
    for one in found:
        if (now := key(one)) != last:
            last = now
            yield one
