"""The live view shows the study's state within the terminal's width."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from tests.support.made_up_status import NONE, WORKER, status
from trainstack.search.cli.live_view import bar, line_of, sparkline, time_left, view
from trainstack.search.cli.polling import over
from trainstack.search.queue.progress import Event, Running, Snapshot
from trainstack.search.queue.status import Budget, StudyStatus
from trainstack.spaces.references import CHAPTER_DEFAULT

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
SNAPSHOT = Snapshot(
    losses=(0.9, 0.4, 0.6, 0.25),
    baseline=0.4,
    best_stack=CHAPTER_DEFAULT,
    running=(Running("host-7-1", "search", 12, 9, 0.31, CHAPTER_DEFAULT),),
    events=(Event(NOON, "failed", "trial 4", "Traceback\n  boom"),),
)


def drawn(width: int, now: StudyStatus, snapshot: Snapshot = SNAPSHOT) -> str:
    """Draw the view at a terminal's width."""
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(view(now, snapshot, width))
    return capture.get()


@pytest.mark.parametrize("width", [40, 80, 140])
def test_the_view_keeps_to_the_terminal(width: int) -> None:
    """At any width each line fits, and phase, counts, best, progress and event are shown."""
    shown = drawn(width, status())
    assert max(map(len, shown.splitlines())) <= width
    assert len(shown.splitlines()) == 6  # nothing is wrapped
    for text in (
        "digits",
        "searching",
        "8 completed",
        "best 0.2500",
        "epoch 9",
        "failed trial 4 boom",
    ):
        assert text in shown


def test_a_wide_view_shows_more() -> None:
    """From 110 columns the running stack is described; from 80 the gap to the default is shown."""
    assert "0.1500 below the chapter's default (0.4000)" in drawn(80, status())
    assert "epoch 9/30  0.3100" in drawn(80, status())
    assert "SELU" not in drawn(80, status())
    wide = drawn(140, status())
    assert "host-7-1 cpu  trial 12" in wide
    assert "epoch 9/30  0.3100" in wide
    assert "SELU" in wide


@pytest.mark.parametrize(("kind", "word"), [("measurement", "test set"), ("refit", "model")])
def test_the_view_says_what_workers_do_after_the_choice(kind: str, word: str) -> None:
    """A worker measures on the test set, or trains a network for a model, and shows no epochs."""
    doing = replace(SNAPSHOT, running=(Running("host-7-1", kind, None, 0, None, None),))
    shown = drawn(140, status(), doing)
    assert f"host-7-1 cpu  {word}" in shown
    assert "epoch" not in shown


def test_the_view_of_a_study_that_has_nothing() -> None:
    """A study without trials and workers has a view."""
    empty = status(counts=NONE, best=None, workers=())
    shown = drawn(80, empty, Snapshot())
    assert "0 of 40" in shown
    assert "no trial has completed yet" in shown


@pytest.mark.parametrize(
    ("changes", "mean", "left"),
    [
        ({}, 10.0, 275.0),  # 40 − 12 ended − half of the running one, one worker
        ({"remaining_seconds": 60.0}, 10.0, 60.0),
        ({"remaining_seconds": 60.0}, None, 60.0),
        ({}, None, None),
        ({"state": "paused"}, 10.0, None),
        ({"workers": ()}, 10.0, None),
        (
            {
                "state": "confirming",
                "phase": "confirming",
                "confirmation": {**NONE, "completed": 4, "waiting": 5, "running": 2},
            },
            10.0,
            60.0,
        ),
    ],
)
def test_time_left_is_that_of_the_trials_that_are_left(
    changes: dict[str, Any], mean: float | None, left: float | None
) -> None:
    """It is the remaining trials times a recent one's time, by workers, up to the deadline."""
    assert time_left(status(**changes, run_seconds=mean)) == left


def test_a_confirmation_shows_its_certain_and_its_possible_time() -> None:
    """Both in runs and in time, by a run's recent time; nothing more is possible at the end."""
    counts = {**NONE, "completed": 8, "running": 2, "waiting": 5}
    going = status(
        state="confirming",
        phase="confirming",
        confirmation=counts,
        confirmation_at_most=53,
        run_seconds=2.0,
    )
    assert line_of(going) == (
        "confirming: 8 of 15 to 53 runs, 1 min 15 s of about 1 min 27 s to 2 min 43 s"
    )
    shown = drawn(80, going)
    assert "8 of 15  1 min 15 s, about 12 s left" in shown
    assert "at most 53 runs if the comparison stays open, 1 min 28 s left" in shown
    near = replace(going, confirmation_at_most=16, run_seconds=0.1, elapsed_seconds=7.0)
    assert line_of(near) == "confirming: 8 of 15 to 16 runs, 7 s of about 8 s"
    ended = {"state": "concluded", "phase": "concluded", "concluded": True}
    last = replace(going, **ended, confirmation={**NONE, "completed": 15})
    assert line_of(last) == "concluded: 15 of 15 runs, best loss 0.2500, 1 min 15 s"
    assert "at most" not in drawn(80, last)


def test_the_sparkline_only_falls() -> None:
    """It shows the best so far, thinned to the width, and ends at its lowest."""
    assert sparkline([], 5) == ""
    assert sparkline([2.0], 5) == "▁"
    long = sparkline([float(100 - k % 7 - k) for k in range(80)], 20)
    assert len(long) == 20
    assert list(long) == sorted(long, reverse=True)
    assert long[-1] == "▁"


@pytest.mark.parametrize(("done", "total"), [(0, 30), (7, 30), (30, 30), (31, 30), (0, 0)])
def test_a_bar_has_its_width(done: int, total: int) -> None:
    """Empty, full or overfull, a bar has the requested width."""
    assert len(bar(done, total, 10)) == 10


def test_lines_name_each_phase() -> None:
    """The plain line names the search, the confirmation, the measurement and the end."""
    assert line_of(status()) == (
        "searching: 12 of 40 trials (3 pruned, 1 diverged), best loss 0.2500, 1 min 15 s"
    )
    later = {"phase": "confirming", "state": "confirming"}
    assert "confirming: 12 trials searched" in line_of(status(**later))
    runs = {**NONE, "completed": 4, "waiting": 5, "running": 1}
    assert "4 of 10 runs" in line_of(status(**later, confirmation=runs))
    measuring = {**NONE, "running": 1}
    assert "test set" in line_of(status(**later, confirmation=runs, measurement=measuring))


HOURS = {"elapsed_seconds": 7_499.0, "objective": "1 - balanced_accuracy"}
MANY = {**NONE, "completed": 1_135, "pruned": 512, "diverged": 103, "infeasible": 22, "failed": 9}
RUNS = {**NONE, "completed": 1_235, "waiting": 1_135}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"objective": "1 - auc", "counts": {**MANY, "completed": 35}},
            "searching: 672 of 4000 trials (646 ended early), best 1 - auc 0.2500, 1 min 15 s",
        ),
        (
            {**HOURS, "counts": MANY},
            "searching: 1772 of 4000 trials, best 1 - balanced_accuracy 0.2500, 2 h 4 min",
        ),
        (
            {**HOURS, "phase": "confirming", "measurement": {**NONE, "running": 1}},
            "measuring the choice on the test set, once, 2 h 4 min",
        ),
        (
            {
                "state": "confirming",
                "phase": "confirming",
                "confirmation": {**NONE, "completed": 5, "waiting": 232},
                "confirmation_at_most": 734,
                "elapsed_seconds": 22.0,
                "run_seconds": 1.9095,
            },
            "confirming: 5 of 237 to 734 runs, 22 s of about 7 min 45 s to 23 min 34 s",
        ),
        (
            {
                "state": "confirming",
                "phase": "confirming",
                "confirmation": RUNS,
                "confirmation_at_most": 7_340,
                "elapsed_seconds": 45_540.0,
                "run_seconds": 36.0,
            },
            "confirming: 1235 of 2370 to 7340 runs, 12 h 39 min of about 24 h 0 min",
        ),
    ],
)
def test_a_line_fits_80_columns(changes: dict[str, Any], line: str) -> None:
    """Of a long study it leaves out the details of trials, then what is least certain."""
    assert line_of(status(budget=Budget(4000, 4000), **changes)) == line
    assert len(line) <= 80


@pytest.mark.parametrize(
    ("changes", "ended"),
    [
        ({}, False),
        ({"concluded": True}, True),
        ({"state": "paused"}, False),
        ({"state": "stopped"}, False),  # its worker finishes, and confirms
        ({"state": "stopped", "workers": ()}, True),
        ({"state": "stopped", "workers": (replace(WORKER, state="lost"),)}, True),
    ],
)
def test_a_view_ends_when_nothing_more_will_happen(changes: dict[str, Any], ended: bool) -> None:
    """A view ends with a concluded study, or a stopped one without workers."""
    assert over(status(**changes)) == ended
