"""What a claim hands out, and what a heartbeat brings back."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row

from trainstack.search.records import MEASUREMENT
from trainstack.spaces.stack import Stack


class HeartbeatReply(enum.Enum):
    """What a heartbeat brings back."""

    GO_ON = "go"
    PAUSE = "pause"
    STOP = "stop"
    CANCEL = "cancel"
    LOST = "lost"


@dataclass(frozen=True)
class Lease:
    """A task that is ours until we end it, give it back or fall silent.

    Attributes:
        task_id: Its row.
        token: Proves that this attempt is the one that runs.
        attempt: 1 for the first.
        kind: `search`, `confirmation` or `measurement`.
        number: Optuna's number of a search trial, a running number in the confirmation, else -1.
        stack: What to train; None for a measurement.
        seed: Of weights, batch order and masks.
        seed_index: 0, 1, … in the confirmation, else -1.
        payload: What a measurement needs.
        rungs: Epochs at which training waits for a verdict.
        label: A reference's name.
        trial_id: Optuna's id of a search trial.
    """

    task_id: int
    token: str
    attempt: int
    kind: str
    number: int
    stack: Stack | None
    seed: int
    seed_index: int = -1
    payload: Mapping[str, Any] = field(default_factory=dict)
    rungs: tuple[int, ...] = ()
    label: str | None = None
    trial_id: int | None = None


def lease_of(row: Row[Any]) -> Lease:
    """Return a claimed task's row as a lease."""
    return Lease(
        task_id=row.task_id,
        token=row.token,
        attempt=row.attempts,
        kind=row.kind,
        number=-1 if row.number is None else row.number,
        stack=None if row.kind == MEASUREMENT else Stack.from_json(row.stack),
        seed=row.seed,
        seed_index=row.seed_index,
        payload=row.payload,
        label=row.label,
        trial_id=row.trial_id,
    )
