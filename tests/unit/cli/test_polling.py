"""When a study is read again, and when no more."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from trainstack.search.cli import polling
from trainstack.search.cli.polling import Polling
from trainstack.search.database.connection import parse_url
from trainstack.spaces.errors import StorageAwayError

URL = parse_url("postgresql://db/base")


class Clock:
    """A clock that advances only in `pass_time`, and the pauses that were asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.pauses = 100.0, list[float]()
        monkeypatch.setattr(polling.time, "monotonic", lambda: self.now)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.pass_time(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock of the test's own."""
    return Clock(monkeypatch)


def reading(*answers: Any) -> Callable[[], Any]:
    """Return a function that returns one answer after the other; None: the database is away."""
    left = list(answers)

    def read() -> Any:
        if (answer := left.pop(0)) is None:
            raise StorageAwayError("away")
        return answer

    return read


def test_a_database_that_comes_back_is_waited_for(clock: Clock) -> None:
    """While the database is away nothing is yielded, and each absence is timed by itself."""
    found = Polling(clock.pause, seconds=1.0, away_seconds=2.0).of(
        URL, reading("a", None, None, "b", None, None, "c")
    )
    assert [next(found) for _ in range(3)] == ["a", "b", "c"]
    assert clock.pauses == [1.0] * 6


@pytest.mark.parametrize(("away_seconds", "pauses"), [(0.0, 0), (2.0, 2)])
def test_a_database_that_stays_away_is_an_error(
    away_seconds: float, pauses: int, clock: Clock
) -> None:
    """A database that is away for too long, or at all if no time is given, ends the loop."""
    found = Polling(clock.pause, seconds=1.0, away_seconds=away_seconds).of(
        URL, reading(*[None] * 9)
    )
    with pytest.raises(StorageAwayError):
        next(found)
    assert len(clock.pauses) == pauses


def test_the_loop_ends_when_it_need_not_go_on(clock: Clock) -> None:
    """The condition is checked before each read, also while the database is away."""
    left = [True, True, True, False]
    polled = Polling(clock.pause, away_seconds=math.inf, going=lambda: left.pop(0))
    assert list(polled.of(URL, reading("a", None, None))) == ["a"]


def test_what_takes_long_is_done_less_often(clock: Clock) -> None:
    """The pause is a multiple of the time that reading and showing took, or the usual interval."""
    found = Polling(clock.pause, seconds=1.0, cost_times=10.0).of(URL, reading(*"abc"))
    next(found)
    clock.pass_time(3.0)
    next(found)
    next(found)
    assert clock.pauses == [30.0, 1.0]
