"""Detection of news in a study."""

from __future__ import annotations

from trainstack.search.cli.follow import changed, moment

WORKER = {"id": "host-1-1", "state": "training", "trial": 3, "last_seen_seconds": 0.1}
STATUS = {"state": "searching", "elapsed_seconds": 1.0, "remaining_seconds": 9.0}


def test_the_clock_alone_is_no_news() -> None:
    """Statuses that differ only in times are equal; another trial makes a difference."""
    before = {**STATUS, "workers": [WORKER]}
    later = {**STATUS, "elapsed_seconds": 2.0, "workers": [{**WORKER, "last_seen_seconds": 4.0}]}
    assert moment(before) == moment(later)
    assert moment(before) != moment({**before, "workers": [{**WORKER, "trial": 4}]})
    assert moment(before) != moment({**before, "state": "paused"})


def test_rows_are_printed_when_new_or_changed() -> None:
    """First every row is printed, then only new rows and those with a relevant change."""
    rows = [{"n": 1, "outcome": "running", "x": 1}, {"n": 2, "outcome": "waiting", "x": 1}]
    assert changed(None, rows, "n", "outcome") == rows
    now = [{"n": 1, "outcome": "running", "x": 2}, {"n": 2, "outcome": "running", "x": 1}]
    assert changed(rows, now, "n", "outcome") == [now[1]]
    assert changed(now, now, "n", "outcome") == []
