"""Rows of the fleet's tables as records, made where the tables are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from trainstack.search.payloads import Payload, payload_of
from trainstack.search.records import Outcome, Phase, RequestedState, Status, TaskKind
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class StudyRow:
    """A study; for the meaning of the columns see `trainstack.search.database.schema`."""

    study_id: int
    name: str
    spec: Mapping[str, Any]
    phase: Phase
    requested_state: RequestedState
    trials: int
    held: int
    opened: int
    failed: int
    voided: int
    revision: int
    planned: int
    created_at: datetime
    deadline_at: datetime | None
    paused_at: datetime | None
    expiry_checked_at: datetime | None
    exported_at: datetime | None
    concluded_at: datetime | None


@dataclass(frozen=True)
class TaskRow:
    """A task; for the meaning of the columns see `trainstack.search.database.schema`.

    Attributes:
        worker: Name of its worker; None if it has none, or the name was not read.
    """

    task_id: int
    study_id: int
    kind: TaskKind
    status: Status
    outcome: Outcome | None
    cause: str | None
    stack: Stack | None
    stack_id: str | None
    label: str | None
    seed: int
    seed_index: int
    payload: Payload
    number: int | None
    exported: bool
    token: str | None
    lease_until: datetime | None
    worker_id: int | None
    avoided_worker: int | None
    attempts: int
    strikes: int
    value: float | None
    best_epoch: int
    curve: tuple[float, ...]
    train_curve: tuple[float, ...]
    metrics: Mapping[str, Any]
    seconds: Mapping[str, Any]
    artifacts: Mapping[str, str]
    found: Mapping[str, Any]
    cached_of: int | None
    created_at: datetime
    claimed_at: datetime | None
    finished_at: datetime | None
    worker: str | None = None


@dataclass(frozen=True)
class WorkerRow:
    """The keys of a worker."""

    study_id: int
    worker_id: int


_STUDY = tuple(field.name for field in fields(StudyRow))
_TASK = tuple(field.name for field in fields(TaskRow) if field.name != "worker")


def study_of(row: Any) -> StudyRow:
    """Return the record for a row of the table `studies`."""
    values = {name: getattr(row, name) for name in _STUDY}
    values["phase"] = Phase(row.phase)
    values["requested_state"] = RequestedState(row.requested_state)
    return StudyRow(**values)


def task_of(row: Any) -> TaskRow:
    """Return the record for a row of the table `tasks`, with its worker's name if selected."""
    values = {name: getattr(row, name) for name in _TASK}
    values["kind"], values["status"] = TaskKind(row.kind), Status(row.status)
    values["outcome"] = None if row.outcome is None else Outcome(row.outcome)
    values["stack"] = Stack.from_json(row.stack) if row.stack else None
    values["payload"] = payload_of(row.kind, row.payload)
    values["curve"], values["train_curve"] = tuple(row.curve), tuple(row.train_curve)
    return TaskRow(**values, worker=getattr(row, "worker", None))
