"""A stack's scores on validation and test, and the other stacks that were confirmed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainstack.search.evidence.candidates import departures, losses
from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.comparisons import compare, score
from trainstack.search.evidence.deciding import LOSS, Deciding
from trainstack.search.evidence.estimates import Difference, Estimate, Score
from trainstack.search.evidence.finite import finite
from trainstack.search.evidence.formatting import describe
from trainstack.search.metrics.table import METRICS
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
        search_value: That trial's objective, or null.
        validation: Scores over the confirmation's seeds.
        difference: Its objective minus the recommended stack's, on the validation part, paired.
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


def score_on_validation(row: Mapping[int, Run], deciding: Deciding) -> Score:
    """Return a stack's scores over the confirmation's seeds.

    Args:
        row: Its runs by seed index; may be empty.
        deciding: What decides the study.
    """
    ordered = [row[j] for j in sorted(row)]
    objective = [float(r.value or 0.0) for r in ordered]
    by_loss = deciding.figure == LOSS
    return _score(
        objective if by_loss else finite(r.metrics.get(LOSS) for r in ordered),
        {
            name: finite(r.metrics.get(name) for r in ordered)
            for name in dict.fromkeys(name for r in ordered for name in r.metrics)
            if name in METRICS or name == deciding.figure
        },
        deciding,
        None if by_loss else objective,
    )


def score_on_test(part: Mapping[str, Any], deciding: Deciding) -> Score:
    """Return a stack's test scores; without values where nothing was measured.

    Args:
        part: `chosen` or `baseline` of the measurement.
        deciding: What decides the study.
    """
    test = {name: [float(v) for v in values or ()] for name, values in part.get("test", {}).items()}
    found = {name: values for name, values in test.items() if name != LOSS}
    return _score(test.get(LOSS, []), found, deciding, None)


def _score(
    losses: list[float],
    metrics: Mapping[str, list[float]],
    deciding: Deciding,
    objective: list[float] | None,
) -> Score:
    """Return the record of values, one per seed."""
    found = {name: score(values, name) for name, values in metrics.items()}
    return Score(
        loss=score(losses, LOSS),
        **{deciding.beside: found.get(deciding.beside, Estimate(math.nan))},
        metrics=found,
        objective=None if objective is None else _objective(objective, deciding),
    )


def _objective(values: list[float], deciding: Deciding) -> Estimate:
    """Return the mean objective, its interval clipped to the figure's range."""
    figures = [1.0 - value if deciding.rises else value for value in values]
    return deciding.value(score(figures, deciding.figure))


@dataclass(frozen=True)
class TargetScore:
    """The recommended stack's test scores for one of several targets.

    Attributes:
        target: The column.
        test: Its scores, for the same seeds as the means over all targets.
    """

    target: str
    test: Score


def scores_of_targets(part: Mapping[str, Any], deciding: Deciding) -> tuple[TargetScore, ...]:
    """Return the test scores of each of several targets; none if there is one.

    Args:
        part: `chosen` of the measurement.
        deciding: What decides the study.
    """
    return tuple(
        TargetScore(row["target"], score_on_test(row, deciding)) for row in part.get("targets", ())
    )


def runners_up(
    chosen: Choice, table: Mapping[str, Mapping[int, Run]], deciding: Deciding
) -> tuple[RunnerUp, ...]:
    """Return the other compared stacks, the lowest confirmed objective first.

    Args:
        chosen: The outcome of the race.
        table: Stack's id → seed index → confirmation run.
        deciding: What decides the study.
    """
    mine, rows = chosen.stack.stack_id, losses(table)
    against = compare(rows, mine, chosen.level, deciding.resolution) if mine in rows else {}
    found = [
        RunnerUp(
            stack=candidate.stack,
            stack_id=candidate.stack_id,
            description=describe(candidate.stack, deciding.network),
            label=candidate.label,
            trial=candidate.number,
            search_value=candidate.search_value,
            validation=score_on_validation(table[candidate.stack_id], deciding),
            difference=Difference.of(
                against.get(candidate.stack_id, Estimate(math.nan)), deciding.objective
            ),
            departures=departures(candidate.stack),
            left_race=chosen.out.get(candidate.stack_id),
        )
        for candidate in chosen.candidates
        if candidate.stack_id != mine
    ]
    return tuple(sorted(found, key=_place))


def _place(row: RunnerUp) -> float:
    """Return the confirmed objective; infinite for a stack without one, which comes last."""
    return row.validation.minimized.mean if row.validation.minimized.n else math.inf
