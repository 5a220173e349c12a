"""The measurement's input and what further models are trained from, read from finished tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainstack.search.evidence.greedy import starters
from trainstack.search.payloads import MeasurementPayload, PoolMember, Refit, RefitPayload
from trainstack.search.queue.rows import TaskRow
from trainstack.search.records import CONFIRMATION, MEASUREMENT, REFIT, SEARCH, Outcome
from trainstack.spaces.stack import Stack

# Networks of the average, at most.
MOST_AVERAGED = 5
# Candidates of the ensemble, at most: those of the lowest objective.
MOST_CANDIDATES = 50


def measurement_of(
    spec: Mapping[str, Any], stack: Stack, baseline: Stack, seeds: range, rows: Sequence[TaskRow]
) -> MeasurementPayload:
    """Return the input of the measurement.

    Args:
        spec: The study's specification.
        stack: The recommended stack.
        baseline: The stack that it is compared with.
        seeds: Seed indices of the confirmation runs to measure.
        rows: All rows of the search and the confirmation.
    """
    compared = (stack.stack_id, baseline.stack_id)
    confirmed = [
        row
        for row in rows
        if row.kind == CONFIRMATION
        and row.outcome == Outcome.COMPLETED
        and row.stack_id in compared
        and row.seed_index in seeds
    ]
    kept = {
        stack_id: {str(r.seed_index): r.artifacts for r in confirmed if r.stack_id == stack_id}
        for stack_id in compared
    }
    return MeasurementPayload(stack, baseline, kept, *further_models(spec, stack, confirmed, rows))


def tasks_of(spec: Mapping[str, Any], asked: MeasurementPayload) -> list[dict[str, Any]]:
    """Return the rows of the measurement's task and of the trainings that it needs in any case."""
    measurement = {
        "kind": MEASUREMENT,
        "stack": asked.chosen.to_json(),
        "stack_id": "measurement",
        "seed": spec["seed"],
        "seed_index": -1,
        "payload": asked.to_json(),
    }
    trainings = enumerate(networks(asked.chosen, asked.refits, asked.pool))
    return [
        measurement,
        *(
            {
                "kind": REFIT,
                "stack": stack.to_json(),
                "stack_id": stack.stack_id,
                "seed": refit.seed,
                "seed_index": place,
                "payload": RefitPayload(refit).to_json(),
            }
            for place, (stack, refit) in trainings
        ),
    ]


def further_models(
    spec: Mapping[str, Any], stack: Stack, confirmed: Sequence[TaskRow], rows: Sequence[TaskRow]
) -> tuple[tuple[Refit, ...], tuple[PoolMember, ...]]:
    """Return the trainings of the recommended stack on more rows, and the ensemble's candidates.

    Args:
        spec: The study's specification.
        stack: The recommended stack.
        confirmed: Its completed confirmation runs, and those of the baseline.
        rows: All rows of the search and the confirmation.
    """
    if not spec.get("models", True) or spec.get("experiment"):
        return (), ()
    mine = [row for row in confirmed if row.stack_id == stack.stack_id]
    return refits(mine), pool(spec, rows)


def networks(
    stack: Stack, refits: Sequence[Refit], pool: Sequence[PoolMember]
) -> tuple[tuple[Stack, Refit], ...]:
    """Return the trainings that the models need whichever ensemble is chosen, each once.

    Args:
        stack: The recommended stack.
        refits: Its trainings.
        pool: The ensemble's candidates, the best first.
    """
    members = [(member.stack, member.refit) for member in pool[: starters(len(pool))]]
    return tuple(dict.fromkeys([*members, *((stack, refit) for refit in refits)]))


def refits(runs: Sequence[TaskRow]) -> tuple[Refit, ...]:
    """Return one training for each of a stack's confirmation runs, with the run's seed.

    All have the length that was best in the confirmation: the median of the runs' best epochs.
    """
    if not runs:
        return ()
    ordered = sorted(runs, key=lambda row: (row.best_epoch, row.seed_index))
    length = _as_trained(ordered[(len(ordered) - 1) // 2])
    first = sorted(runs, key=lambda row: row.seed_index)[:MOST_AVERAGED]
    return tuple(Refit(row.seed, length.epochs, length.lowered_after) for row in first)


def pool(spec: Mapping[str, Any], rows: Sequence[TaskRow]) -> tuple[PoolMember, ...]:
    """Return the ensemble's candidates, the lowest objective first.

    They are the finished search trials and, with folds, the confirmation's runs of each whole
    division together, which predict the same rows as those. Without folds every seed of the
    confirmation holds out other rows.
    """
    found = [
        (row.value or 0.0, PoolMember(row.stack, _as_trained(row), (row.artifacts["predictions"],)))
        for row in rows
        if row.kind == SEARCH and _can_vote(row) and row.stack is not None
    ]
    by_stack: dict[str, dict[int, TaskRow]] = {}
    size = spec.get("folds", 1)
    for row in rows if size > 1 else ():
        if row.kind == CONFIRMATION and _can_vote(row) and row.seed_index < spec["replicates"]:
            by_stack.setdefault(row.stack_id or "", {})[row.seed_index] = row
    for runs in by_stack.values():
        for start in range(0, spec["replicates"], size):
            block = [runs[k] for k in range(start, start + size) if k in runs]
            stack = block[0].stack if len(block) == size else None
            if stack is not None:
                value = sum(row.value or 0.0 for row in block) / size
                files = tuple(row.artifacts["predictions"] for row in block)
                found.append((value, PoolMember(stack, refits(block)[0], files)))
    ordered = sorted(found, key=lambda pair: pair[0])
    return tuple(member for _, member in ordered[:MOST_CANDIDATES])


def _can_vote(row: TaskRow) -> bool:
    return (
        row.outcome == Outcome.COMPLETED
        and row.value is not None
        and row.best_epoch > 0
        and "predictions" in row.artifacts
    )


def _as_trained(row: TaskRow) -> Refit:
    """Return a training of a run's length, with its seed."""
    return Refit(row.seed, row.best_epoch, tuple(row.found.get("lowered_after", ())))
