"""The lease that a claim returns, and the reply to a heartbeat."""

from __future__ import annotations

from dataclasses import dataclass

from trainstack.search.payloads import Payload
from trainstack.search.queue.rows import TaskRow
from trainstack.search.records import MEASUREMENT, TaskKind, Word
from trainstack.spaces.stack import Stack

# Duration of a lease without a heartbeat.
LEASE_SECONDS = 60.0


class HeartbeatReply(Word):
    """Reply to a heartbeat: the study's requested state, or that the lease is lost."""

    GO_ON = "go"
    PAUSE = "pause"
    STOP = "stop"
    CANCEL = "cancel"
    LOST = "lost"


@dataclass(frozen=True)
class Lease:
    """A claimed task, held until it ends, is given back or the lease expires.

    Attributes:
        task_id: Id of the task.
        token: Identifies the current attempt in every write.
        attempt: Number of the attempt, from 1.
        kind: `search`, `confirmation`, `measurement` or `refit`.
        number: Number of a search trial or of a confirmation run; -1 for others.
        stack: The stack to train; None for a measurement.
        seed: Seed of weights, batch order and masks.
        payload: Input of the task besides its stack and seed.
        seed_index: 0, 1, … in the confirmation, else -1.
        rungs: Epochs at which training waits for a pruning decision.
        label: Name of the reference stack, if it is one.
    """

    task_id: int
    token: str
    attempt: int
    kind: TaskKind
    number: int
    stack: Stack | None
    seed: int
    payload: Payload
    seed_index: int = -1
    rungs: tuple[int, ...] = ()
    label: str | None = None


def lease_of(row: TaskRow) -> Lease:
    """Return the lease for the row of a claimed task."""
    return Lease(
        task_id=row.task_id,
        token=row.token or "",
        attempt=row.attempts,
        kind=row.kind,
        number=-1 if row.number is None else row.number,
        stack=None if row.kind == MEASUREMENT else row.stack,
        seed=row.seed,
        seed_index=row.seed_index,
        payload=row.payload,
        label=row.label,
    )
