"""Pending database writes, kept in order while the database is unavailable."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from trainstack.spaces.errors import StorageAwayError

log = logging.getLogger("trainstack.worker")
# Delay before the next attempt after the database did not answer.
RETRY_SECONDS = 1.0

T = TypeVar("T")


class Outbox:
    """Actions that wait for the database.

    Args:
        away_seconds: Time for which it may be unavailable before that is an error.
    """

    def __init__(self, away_seconds: float) -> None:
        self._away_seconds = away_seconds
        self._actions: deque[tuple[str, Callable[[], object]]] = deque()
        self._away_since: float | None = None
        self._not_before = 0.0

    def __bool__(self) -> bool:
        """Return whether any action is pending."""
        return bool(self._actions)

    def post(self, action: Callable[[], object], about: str = "") -> None:
        """Append an action about a trial to the queue."""
        self._actions.append((about, action))

    @property
    def about(self) -> str:
        """The trial that the first pending action is about."""
        return self._actions[0][0]

    def forget(self, about: str) -> None:
        """Discard the pending actions about a trial."""
        self._actions = deque(pending for pending in self._actions if pending[0] != about)

    def reach(self, action: Callable[[], T], otherwise: T) -> T:
        """Run an action on the database now; return `otherwise` while it is unavailable.

        Raises:
            StorageAwayError: It has been unavailable for too long.
        """
        if time.monotonic() < self._not_before:
            return otherwise
        try:
            result = action()
        except StorageAwayError as error:
            self._away(error)
            return otherwise
        if self._away_since is not None:
            log.warning("the database answers again")
            self._away_since = None
        return result

    def deliver(self) -> None:
        """Run pending actions in order for as long as the database answers.

        Raises:
            StorageAwayError: It has been unavailable for too long.
        """
        while self._actions and self.reach(self._first, False):
            self._actions.popleft()

    def _first(self) -> bool:
        self._actions[0][1]()
        return True

    def _away(self, error: StorageAwayError) -> None:
        now = time.monotonic()
        self._not_before = now + RETRY_SECONDS
        if self._away_since is None:
            self._away_since = now
            log.warning("%s: training goes on, reports wait", error)
        if now - self._away_since > self._away_seconds:
            raise error
