"""What counts as news of a study."""

from __future__ import annotations

from trainstack.search.cli.follow import changed, moment

WORKER = {"id": "host-1-1", "state": "training", "trial": 3, "last_seen_seconds": 0.1}
STATUS = {"state": "searching", "elapsed_seconds": 1.0, "remaining_seconds": 9.0}


def test_the_clock_alone_is_no_news() -> None:
    """Two statuses that differ in times alone are one moment; another trial is another."""
    before = {**STATUS, "workers": [WORKER]}
    later = {**STATUS, "elapsed_seconds": 2.0, "workers": [{**WORKER, "last_seen_seconds": 4.0}]}
    assert moment(before) == moment(later)
    assert moment(before) != moment({**before, "workers": [{**WORKER, "trial": 4}]})
    assert moment(before) != moment({**before, "state": "paused"})


def test_rows_are_told_when_new_or_changed() -> None:
    """At first every row; then those that are new or of which a field that matters has changed."""
    rows = [{"n": 1, "outcome": "running", "x": 1}, {"n": 2, "outcome": "waiting", "x": 1}]
    assert changed(None, rows, "n", "outcome") == rows
    now = [{"n": 1, "outcome": "running", "x": 2}, {"n": 2, "outcome": "running", "x": 1}]
    assert changed(rows, now, "n", "outcome") == [now[1]]
    assert changed(now, now, "n", "outcome") == []
