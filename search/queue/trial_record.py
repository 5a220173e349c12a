"""The record of a trial, as `trials --json` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainstack.search.conditions import Condition
from trainstack.search.json_values import OR_NULL
from trainstack.search.records import Outcome, Run, Status
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class TrialRecord:
    """A trial, or a run of the confirmation.

    Attributes:
        number: The trial's number; null while it waits without one.
        outcome: Outcome, or `running` or `waiting`.
        value: Objective of its best epoch: the validation loss without penalties, or that of the
            metric asked for; of a trial on folds the mean over them.
        epochs: Epochs trained.
        best_epoch: Epoch whose weights were restored; 0: none.
        curve: Objective per epoch; of a trial on folds the mean over its first ones.
        train_curve: Training loss per epoch, penalty-free.
        metrics: `parameters`, `accuracy` or `rmse`, constrained figures, the metric asked for
            and then the `loss`; of a confirmation's run, every metric.
        stack: The trained stack; null before it is drawn.
        stack_id: Fingerprint: equal stacks have equal ones.
        condition: Changes that an experiment for claims made besides the stack.
        family: Stacks of one family are compared as variants.
        label: Name of a reference stack, or purpose of a run.
        seed: Seed of weights, batch order and masks.
        seed_index: Within the confirmation: equal index, equal seed; else -1.
        seconds: `total`, `build`, `compile`, `train`, and `evaluate` (scores and statistics after
            training); all 0 of a result taken from an equal stack; empty before the end.
        worker: The worker that trained it.
        attempt: Number of the attempt, from 1.
        cause: Reason why it diverged, was infeasible, failed or is void.
        layers: Per hidden layer, at `start` and `end`: outputs and gradients.
        folds: Objective of each fold that a search trial has trained; empty without folds.
    """

    number: int | None
    outcome: Outcome | Status
    value: float | None = field(metadata=OR_NULL)
    epochs: int
    best_epoch: int
    curve: tuple[float, ...] = field(metadata=OR_NULL)
    train_curve: tuple[float, ...] = field(metadata=OR_NULL)
    metrics: Mapping[str, float]
    stack: Stack | None
    stack_id: str | None
    condition: Condition
    family: str | None
    label: str | None
    seed: int
    seed_index: int
    seconds: Mapping[str, float]
    worker: str | None
    attempt: int
    cause: str | None
    layers: Mapping[str, Any]
    folds: tuple[float, ...] = field(metadata=OR_NULL)


# The parts of a trial's time.
PHASES = ("total", "build", "compile", "train", "evaluate")


def _seconds(run: Run) -> dict[str, float]:
    """Return the seconds of every phase of a run that ended."""
    ended = run.outcome not in (Status.RUNNING, Status.WAITING)
    return {**(dict.fromkeys(PHASES, 0.0) if ended else {}), **run.seconds}


def trial_of(run: Run, voids: str = "") -> TrialRecord:
    """Return the record of a run, in a network that has what voids self-normalization."""
    return TrialRecord(
        number=run.number if run.number >= 0 else None,
        outcome=run.outcome,
        value=run.value,
        epochs=run.epochs,
        best_epoch=run.best_epoch,
        curve=run.curve,
        train_curve=run.train_curve,
        metrics=run.metrics,
        stack=run.stack,
        stack_id=run.stack_id,
        condition=run.condition,
        family=run.stack.family_in(voids) if run.stack else None,
        label=run.label,
        seed=run.seed,
        seed_index=run.seed_index,
        seconds=_seconds(run),
        worker=run.worker,
        attempt=run.attempt,
        cause=run.cause,
        layers=run.layers,
        folds=run.folds,
    )
