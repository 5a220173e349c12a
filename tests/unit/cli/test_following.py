"""Detection of news in a study."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter

from tests.support.made_up_status import WORKER, status
from trainstack.search.cli.follow import changed, moment


def test_the_clock_alone_is_no_news() -> None:
    """Statuses that differ only in times are equal; another trial makes a difference."""
    before = status(remaining_seconds=9.0)
    times = {"elapsed_seconds": 80.0, "remaining_seconds": 4.0}
    later = replace(before, workers=(replace(WORKER, last_seen_seconds=4.0),), **times)
    assert moment(before) == moment(later)
    assert moment(before) != moment(replace(before, workers=(replace(WORKER, trial=4),)))
    assert moment(before) != moment(replace(before, state="paused"))


def test_rows_are_printed_when_new_or_changed() -> None:
    """First every row is printed, then only new rows and those with a relevant change."""
    name, outcome = itemgetter("n"), itemgetter("outcome")
    rows = [{"n": 1, "outcome": "running", "x": 1}, {"n": 2, "outcome": "waiting", "x": 1}]
    assert changed(None, rows, name, outcome) == rows
    now = [{"n": 1, "outcome": "running", "x": 2}, {"n": 2, "outcome": "running", "x": 1}]
    assert changed(rows, now, name, outcome) == [now[1]]
    assert changed(now, now, name, outcome) == []
