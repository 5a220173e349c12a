"""Selection of listed trials, arguments of `set`, and comparison of curves."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trainstack.search.cli.looking import trial_line, trials_table
from trainstack.search.cli.steering import read_changes
from trainstack.search.cli.trial_filters import chosen, read_arms, read_outcomes
from trainstack.search.queue.trial_record import TrialRecord, trial_of
from trainstack.search.records import SEARCH, Outcome, Run, Status
from trainstack.search.replay_record import compare
from trainstack.spaces.errors import RequestError
from trainstack.spaces.stack import Stack


def row(number: int, word: str, value: float | None, activation: str | None) -> TrialRecord:
    """A trial, with the fields used here."""
    stack = Stack.of(activation=activation, optimizer="adam") if activation else None
    outcome = Outcome(word) if value else Status(word)
    return trial_of(Run(SEARCH, number, stack, None, 0, outcome=outcome, value=value))


ROWS = [
    row(0, "completed", 0.5, "relu"),
    row(1, "pruned", 0.1, "relu"),
    row(2, "completed", 0.3, "selu"),
    row(3, "completed", 0.4, "relu"),
    row(4, "waiting", None, None),
    row(5, "completed", math.inf, "selu"),
]


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"outcomes": ["pruned", "waiting"]}, [1, 4]),
        ({"arms": {"activation": "relu"}}, [0, 1, 3]),
        ({"best": 9}, [2, 3, 0]),
        ({"best": 2}, [2, 3]),
        ({"best": 9, "arms": {"activation": "relu"}}, [3, 0]),
        ({"best": 1, "outcomes": ["pruned"]}, []),
        ({"arms": {"activation": "relu", "optimizer": "sgd"}}, []),
    ],
)
def test_trials_are_chosen(filters: dict[str, Any], numbers: list[int]) -> None:
    """Filters combine; the best are completed trials, best first."""
    assert [r.number for r in chosen(ROWS, **filters)] == numbers


@pytest.mark.parametrize("objective", ["loss", "1 - roc_auc"])
def test_listed_values_have_the_name_of_the_objective(objective: str) -> None:
    """The title of their column, and in a single line."""
    table = trials_table(ROWS, objective)
    assert [column.header for column in table.columns][2] == objective
    assert next(iter(table.columns[2].cells)) == "0.5000"
    assert f"completed, {objective} 0.5000, " in trial_line(ROWS[0], objective)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("activation", "activation=relu"),
        ("activatoin=relu", "'activation'"),
        ("activation=rellu", "'relu'"),
    ],
)
def test_a_misspelt_arm_is_answered_with_the_nearest(text: str, hint: str) -> None:
    """An unknown axis or arm is refused with the nearest name."""
    with pytest.raises(RequestError, match=hint):
        read_arms([text])


def test_a_misspelt_outcome_is_answered_with_the_nearest() -> None:
    """An unknown outcome is refused with the nearest name."""
    assert read_outcomes(["pruned"]) == ("pruned",)
    with pytest.raises(RequestError, match="'pruned'"):
        read_outcomes(["prunned"])


def test_changes_are_read() -> None:
    """Trials and timeout are read, together or alone."""
    assert read_changes(["trials=200"]) == {"trials": 200}
    both = {"timeout_seconds": 5400.0, "trials": 7}
    assert read_changes(["timeout=1h30m", "trials=7"]) == both


@pytest.mark.parametrize(
    "text",
    [
        "trials",
        "trials=",
        "trials=0",
        "trials=1e3",
        "trials=-5",
        "trials=²",
        "timeout=",
        "timeout=soon",
        "seed=3",
        "",
    ],
)
def test_other_changes_are_refused(text: str) -> None:
    """Other keys and invalid values are refused."""
    with pytest.raises(RequestError):
        read_changes([text])


@pytest.mark.parametrize(
    ("again", "same", "at"),
    [
        ([1.0, 0.5, 0.25], True, None),
        ([1.0, 0.5004, 0.25], True, None),
        ([1.0, 0.502, 0.25], False, 2),
        ([1.0, 0.5], False, 3),
        ([1.0, 0.5, 0.25, 0.2], False, 4),
        ([1.0, math.nan, 0.25], False, 2),
    ],
)
def test_curves_are_compared_epoch_by_epoch(again: list[float], same: bool, at: int | None) -> None:
    """A relative difference above the tolerance, or another length, is a difference."""
    found = compare([1.0, 0.5, 0.25], again, 1e-3)
    assert (found.same, found.differs_at) == (same, at)
    assert found.exact == (again == [1.0, 0.5, 0.25])
