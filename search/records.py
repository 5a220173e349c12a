"""Shared data types: measurements, the result of a trial, and a run as evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from trainstack.search.conditions import PLAIN, Condition
from trainstack.spaces.stack import Stack


class Word(str, Enum):
    """Base of the closed sets of words; prints and compares as the plain text."""

    # Enum's own differ between Python 3.10, 3.11 and 3.12.
    __str__ = str.__str__
    __repr__ = str.__repr__
    __format__ = str.__format__


class TaskKind(Word):
    """Kind of a task."""

    SEARCH = "search"
    CONFIRMATION = "confirmation"
    MEASUREMENT = "measurement"
    REFIT = "refit"


class Status(Word):
    """Status of a task."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


class Outcome(Word):
    """Outcome of a task that has ended."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    VOIDED = "voided"


class Phase(Word):
    """Phase of a study."""

    SEARCHING = "searching"
    CONFIRMING = "confirming"
    CONCLUDED = "concluded"


class RequestedState(Word):
    """What users have requested of a study; `stop` and `cancel` end its search."""

    GO = "go"
    PAUSE = "pause"
    STOP = "stop"
    CANCEL = "cancel"


SEARCH, CONFIRMATION, MEASUREMENT, REFIT = TaskKind
# Outcomes that hold a place in the budget once a trial has ended.
COUNTED = (Outcome.COMPLETED, Outcome.PRUNED, Outcome.DIVERGED, Outcome.INFEASIBLE)
# All values of a run's `outcome`.
OUTCOMES = (*Outcome, Status.RUNNING, Status.WAITING)


@dataclass(frozen=True)
class Measurement:
    """Measurements of one epoch.

    Attributes:
        epoch: Number of the epoch, from 1.
        train_loss: Mean penalty-free loss over the epoch's batches.
        valid_loss: Penalty-free validation loss (cross-entropy in nats, or mean squared error of
            the standardised target, or the loss that was asked for).
        metric: Validation accuracy in [0, 1], or root mean squared error in the target's unit.
        seconds: Wall time of the epoch, including validation.
        objective: The number that the study minimizes (`Metric.objective`): the validation loss
            unless another metric is asked for.
    """

    epoch: int
    train_loss: float
    valid_loss: float
    metric: float
    seconds: float = 0.0
    objective: float | None = None

    @property
    def minimized(self) -> float:
        """The objective, or the validation loss if that is the objective."""
        return self.valid_loss if self.objective is None else self.objective


@dataclass(frozen=True)
class Result:
    """Result of one attempt at a trial, as the trainer reports it.

    Attributes:
        outcome: One of COUNTED, or `failed`.
        value: Objective of the restored (best) weights; None if there are none.
        best_epoch: The epoch whose weights were restored; 0 if there is none.
        measurements: One per epoch, in order.
        metrics: Named numbers (`accuracy` or `rmse` of the restored weights, `parameters`, …).
        seconds: `total`, `build`, `compile`, `train`, `evaluate`.
        cause: Reason for divergence, infeasibility or failure; the traceback of a bug.
        artifacts: Name → path relative to the artifact folder.
        payload: Result of a measurement (a JSON document); empty for training.
    """

    outcome: str
    value: float | None = None
    best_epoch: int = 0
    measurements: tuple[Measurement, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    cause: str | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One trial as evidence, read from the fleet's task table.

    Attributes:
        phase: SEARCH or CONFIRMATION.
        number: Number of the search trial; a running number from 0 for a
            confirmation run; -1 for a waiting row without a number.
        label: Name of the reference stack, or None.
        seed: Seed of weights, batch order and masks.
        seed_index: 0, 1, … within the confirmation (equal index: equal seed and split); -1 in
            the search.
        outcome: One of OUTCOMES.
        value: Objective of the restored weights: the validation loss, or that of the metric
            asked for.
        curve: Objective per epoch, on the validation part and without penalties.
        layers: `start` (at initialization) and `end` (the restored weights) → per hidden layer,
            first to last, the `mean` and `deviation` of its outputs, the share `saturated`, the
            share of `dead` units and the `gradient_norm`, on one batch; empty if not measured.
        condition: Changes by an experiment for claims; `stack_id` identifies stack and condition.
        folds: Objective of each fold that a search trial has trained; empty without folds.
    """

    phase: TaskKind
    number: int
    stack: Stack | None
    stack_id: str | None
    seed: int
    seed_index: int = -1
    label: str | None = None
    outcome: Outcome | Status = Status.WAITING
    value: float | None = None
    epochs: int = 0
    best_epoch: int = 0
    curve: tuple[float, ...] = ()
    train_curve: tuple[float, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    worker: str | None = None
    attempt: int = 1
    cause: str | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    layers: Mapping[str, Any] = field(default_factory=dict)
    condition: Condition = PLAIN
    folds: tuple[float, ...] = ()

    @property
    def finished(self) -> bool:
        """True when the run ended with weights whose loss was measured to the end."""
        return self.outcome == Outcome.COMPLETED and self.value is not None
