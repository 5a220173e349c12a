"""What a tracker gets of a study, as records: the study, and each run that has ended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trainstack.search.queue.queries import run_of
from trainstack.search.queue.rows import StudyRow, TaskRow
from trainstack.search.records import SEARCH, Outcome
from trainstack.spaces.stack import Stack

# Key of the study itself.
STUDY = "study"
# Curves, by epoch.
VALID_LOSS, TRAIN_LOSS = "valid_loss", "train_loss"


@dataclass(frozen=True)
class TrackedStudy:
    """A study as a tracker sees it.

    Attributes:
        name: The study's name.
        created: When it was created.
        parameters: What was asked, by name.
    """

    name: str
    created: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def stamp(self) -> str:
        """When it was created; tells apart two studies of one name."""
        return self.created.isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class TrackedRun:
    """A trial, or a run of the confirmation, that has ended.

    Attributes:
        key: Name of the run, unique within its study.
        version: Changes with its result, as when a trial is voided.
        outcome: Its outcome.
        parameters: The stack's choices and numbers, by name.
        figures: Its figures; finite numbers only.
        curves: Name → value after each epoch; nan or infinite where there is none.
        tags: Seed, label and worker, by name.
        began: When it was claimed.
        ended: When it ended.
    """

    key: str
    version: str
    outcome: Outcome
    parameters: Mapping[str, str]
    figures: Mapping[str, float]
    curves: Mapping[str, Sequence[float]]
    tags: Mapping[str, str]
    began: datetime
    ended: datetime

    def points(self) -> list[tuple[str, float, int]]:
        """Return the finite values of all curves: name, value and epoch, from 1."""
        return [
            (name, float(value), epoch)
            for name, curve in self.curves.items()
            for epoch, value in enumerate(curve, start=1)
            if math.isfinite(value)
        ]


def key_of(kind: str, number: int | None) -> str:
    """Return the name of a run.

    >>> key_of("search", 3), key_of("confirmation", 0)
    ('trial 3', 'confirmation 0')
    """
    return f"{'trial' if kind == SEARCH else kind} {number}"


def version_of(outcome: str, ended: datetime) -> str:
    """Return what changes when a run's result does."""
    return f"{outcome} {ended.isoformat(timespec='milliseconds')}"


def tracked_study(row: StudyRow) -> TrackedStudy:
    """Return the record of a study's row."""
    spec = row.spec
    data = {k: spec["data"][k] for k in ("source", "target", "task", "rows", "features")}
    names = ("profile", "trials", "epochs", "replicates", "seed", "sampler", "pruner", "folds")
    asked = {name: spec.get(name) for name in (*names, "metric", "loss", "precision", "version")}
    given = {**{f"data.{k}": v for k, v in data.items()}, **asked}
    parameters = {k: str(v) for k, v in given.items() if v not in (None, "")}
    return TrackedStudy(row.name, row.created_at, parameters)


def tracked_run(row: TaskRow) -> TrackedRun:
    """Return the record of an ended task's row."""
    assert row.finished_at is not None
    run = run_of(row)
    figures: dict[str, Any] = {**run.metrics, "value": run.value, "best_epoch": run.best_epoch}
    figures |= {"epochs": run.epochs, "seconds": run.seconds.get("total")}
    tags = {"seed": run.seed, "label": run.label, "worker": run.worker, "cause": run.cause}
    tags |= {"stack_id": run.stack_id, "phase": run.phase}
    curves = {VALID_LOSS: run.curve, TRAIN_LOSS: run.train_curve}
    return TrackedRun(
        key=key_of(row.kind, row.number),
        version=version_of(run.outcome, row.finished_at),
        outcome=Outcome(run.outcome),
        parameters={} if run.stack is None else parameters_of(run.stack),
        figures={k: float(v) for k, v in figures.items() if v is not None and math.isfinite(v)},
        curves={name: curve for name, curve in curves.items() if curve},
        tags={k: str(v) for k, v in tags.items() if v is not None},
        began=row.claimed_at or row.created_at,
        ended=row.finished_at,
    )


def parameters_of(stack: Stack) -> dict[str, str]:
    """Return a stack's choices and numbers as texts, by name."""
    return {name: str(value) for name, value in stack.to_json().items()}
