"""The dashboard's note and plots show the data of the runs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from tests.support.made_up_status import NONE, status
from trainstack.search.dashboard.notes import note_of
from trainstack.search.dashboard.plots import (
    MOST_POINTS,
    PLOTS,
    best_over_time,
    confirmation,
    learning_curves,
)
from trainstack.search.queue.status import Best, Budget
from trainstack.search.records import CONFIRMATION, SEARCH, Run
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.stack import Stack

RELU = Stack.of(activation="relu", initializer="he_normal")


def run(number: int, value: float | None, stack: Stack = RELU, **changes: Any) -> Run:
    """A completed search trial, with some changes."""
    fields: dict[str, Any] = {"phase": SEARCH, "outcome": "completed", "seed": 1}
    fields |= {"number": number, "value": value, "stack": stack, "stack_id": stack.stack_id}
    return Run(**{**fields, "curve": (2.0, math.nan, value or 9.0), **changes})


RUNS = [
    run(0, 0.5, CHAPTER_DEFAULT),
    run(1, 0.7),
    run(2, 0.1, outcome="pruned"),
    run(3, 0.4),
    run(4, None, outcome="diverged"),
    run(0, 0.45, CHAPTER_DEFAULT, phase=CONFIRMATION, seed_index=0),
    run(1, 0.35, phase=CONFIRMATION, seed_index=0),
    run(2, 0.1, Stack.of(units=[7]), phase=CONFIRMATION, label="ablation: units=7"),
]


NOW = status(budget=Budget(9, 9), best=Best(3, 0.4), counts={**NONE, "completed": 3, "pruned": 1})


def test_the_note_has_state_counts_and_the_best() -> None:
    """During the search the note has state, counts and the best stack, without a recommendation."""
    note = note_of(NOW, RUNS, None)
    assert note.startswith("# digits: searching")
    assert "Budget 9 trials: 3 completed, 1 pruned." in note
    assert "trial 3, validation loss 0.4000. 300-100 ReLU (He normal)" in note
    assert "Recommendation" not in note


@pytest.mark.parametrize(("conclusion", "text"), [("Use SELU.", "Use SELU."), (None, "None: no")])
def test_the_note_of_a_concluded_study_recommends(conclusion: str | None, text: str) -> None:
    """The note has the recommendation as text, or the reason why there is none."""
    note = note_of(replace(NOW, state="concluded", concluded=True), RUNS, conclusion)
    assert "## Recommendation" in note
    assert text in note


def test_the_note_of_nothing() -> None:
    """A new study has a note."""
    assert "nothing yet" in note_of(status(counts=NONE, best=None), [], None)


def test_the_best_so_far_only_falls() -> None:
    """Only completed search trials are drawn; the line is their running minimum."""
    trials, best = best_over_time(RUNS, "loss").data
    assert list(trials.x) == [0, 1, 3]
    assert list(best.y) == [0.5, 0.5, 0.4]


def test_curves_are_those_of_the_best() -> None:
    """Curves are sorted best first, the default is named, and non-finite values are gaps."""
    traces = learning_curves(RUNS, "loss").data
    assert [trace.name for trace in traces] == ["trial 3", "chapter's default", "trial 1"]
    assert list(traces[0].y) == [2.0, None, 0.4]


def test_the_confirmation_shows_candidates() -> None:
    """Candidates are sorted by mean and named by their trial's number, without ablations."""
    assert [trace.name for trace in confirmation(RUNS, "loss").data] == [
        "trial 1",
        "chapter's default",
    ]


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_small_however_long_the_search(name: str) -> None:
    """For 10,000 trials each plot stays under 100 kB, keeps the best one, and is valid JSON."""
    many = [run(k, 1.0 + (k * 7919 % 10_000) / 10_000, seed_index=-1) for k in range(10_000)]
    many += RUNS
    text = PLOTS[name](many, "loss").to_json()
    assert len(text) < 100_000
    json.loads(text, parse_constant=pytest.fail)
    if name == "best-over-time":
        trials, best = PLOTS[name](many, "loss").data
        assert len(trials.x) <= MOST_POINTS + 1
        assert best.y[-1] == 0.4


@pytest.mark.parametrize("name", PLOTS)
def test_a_study_without_trials_has_no_plot(name: str) -> None:
    """A study without trials has no plot."""
    assert not PLOTS[name]([], "loss").data


@pytest.mark.parametrize(
    ("what", "titles"),
    [
        ("loss", {"Best loss over time", "Loss by arm"}),
        ("1 - roc_auc", {"Best 1 - roc_auc over time", "1 - roc_auc by arm"}),
    ],
)
def test_the_plots_name_the_objective(what: str, titles: set[str]) -> None:
    """Titles and axes name what is minimized."""
    figures = [draw(RUNS, what) for draw in PLOTS.values()]
    assert titles <= {figure.layout.title.text for figure in figures}
    assert {figure.layout.yaxis.title.text for figure in figures} == {f"validation {what}"}
