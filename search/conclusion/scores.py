"""A stack's scores on validation and test, and the other stacks that were confirmed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainstack.search.evidence.candidates import departures, losses
from trainstack.search.evidence.comparisons import compare, score
from trainstack.search.evidence.estimates import Difference, Estimate, Score
from trainstack.search.evidence.finite import finite
from trainstack.search.evidence.formatting import describe
from trainstack.search.evidence.race import Choice
from trainstack.search.records import Run
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class RunnerUp:
    """A confirmed stack that was not chosen.

    Attributes:
        stack: The stack.
        stack_id: Its fingerprint.
        description: The stack in words.
        label: Name of the reference stack, or null.
        trial: Its best search trial, or null.
        search_value: That trial's loss, or null.
        validation: Scores over the confirmation's seeds.
        difference: Its validation loss minus the recommended stack's, paired.
        departures: Axes in which it differs from the chapter's default.
        left_race: Reason why it got no more seeds, or null.
    """

    stack: Stack
    stack_id: str
    description: str
    label: str | None
    trial: int | None
    search_value: float | None
    validation: Score
    difference: Difference
    departures: tuple[str, ...]
    left_race: str | None


def score_on_validation(row: Mapping[int, Run], metric: str) -> Score:
    """Return a stack's scores over the confirmation's seeds.

    Args:
        row: Its runs by seed index; may be empty.
        metric: `accuracy` or `rmse`.
    """
    ordered = [row[j] for j in sorted(row)]
    values = {
        "loss": [float(r.value or 0.0) for r in ordered],
        metric: finite(r.metrics.get(metric) for r in ordered),
    }
    return Score(**{what: score(found, what) for what, found in values.items()})


def score_on_test(part: Mapping[str, Any], metric: str) -> Score:
    """Return a stack's test scores; without values where nothing was measured.

    Args:
        part: `chosen` or `baseline` of the measurement.
        metric: `accuracy` or `rmse`.
    """
    test = part.get("test") or {}
    return Score(
        **{what: score([float(v) for v in test.get(what) or ()], what) for what in ("loss", metric)}
    )


@dataclass(frozen=True)
class TargetScore:
    """The recommended stack's test scores for one of several targets.

    Attributes:
        target: The column.
        test: Its scores, for the same seeds as the means over all targets.
    """

    target: str
    test: Score


def scores_of_targets(part: Mapping[str, Any], metric: str) -> tuple[TargetScore, ...]:
    """Return the test scores of each of several targets; none if there is one.

    Args:
        part: `chosen` of the measurement.
        metric: `accuracy` or `rmse`.
    """
    return tuple(
        TargetScore(row["target"], score_on_test(row, metric)) for row in part.get("targets", ())
    )


def runners_up(
    chosen: Choice, table: Mapping[str, Mapping[int, Run]], metric: str
) -> tuple[RunnerUp, ...]:
    """Return the other compared stacks, the lowest confirmed loss first.

    Args:
        chosen: The outcome of the race.
        table: Stack's id → seed index → confirmation run.
        metric: `accuracy` or `rmse`.
    """
    mine, rows = chosen.stack.stack_id, losses(table)
    against = compare(rows, mine) if mine in rows else {}
    found = [
        RunnerUp(
            stack=candidate.stack,
            stack_id=candidate.stack_id,
            description=describe(candidate.stack),
            label=candidate.label,
            trial=candidate.number,
            search_value=candidate.search_value,
            validation=score_on_validation(table[candidate.stack_id], metric),
            difference=Difference.of(against.get(candidate.stack_id, Estimate(math.nan))),
            departures=departures(candidate.stack),
            left_race=chosen.out.get(candidate.stack_id),
        )
        for candidate in chosen.candidates
        if candidate.stack_id != mine
    ]
    return tuple(sorted(found, key=_place))


def _place(row: RunnerUp) -> float:
    """Return the confirmed loss; infinite for a stack without one, which comes last."""
    return row.validation.loss.mean if row.validation.loss.n else math.inf
