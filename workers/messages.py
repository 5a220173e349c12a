"""What supervisor and trainer say to each other, through one pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainstack.search.artifacts import folder_of
from trainstack.search.conditions import PLAIN, Condition
from trainstack.search.queue.lease import Lease
from trainstack.search.records import CONFIRMATION, SEARCH, Measurement, Result
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack

# Verdicts: stop with a checkpoint, so that the trial can go on later or elsewhere; and stop without
# a trace, for somebody else has the trial already.
INTERRUPTED, ABANDONED = "interrupted", "abandoned"
# A result's outcome that the supervisor turns into one of the study's.
OUT_OF_MEMORY = "out of memory"


@dataclass(frozen=True)
class Job:
    """Train this (to the trainer).

    Attributes:
        token: Fencing token of the lease; every answer carries it.
        kind: `search`, `confirmation` or `measurement`.
        stack: What to train; None for a measurement.
        seed: Of weights, batch order and masks.
        split_seed: Of the validation part, where the data does not bring one.
        epochs: Most epochs.
        rungs: Epochs after which the trainer waits for a verdict.
        folder: Where artifacts go, relative to the artifact folder; empty: none are kept.
        payload: What a measurement is about.
        again: How many runs of the same structure are expected, this one included.
        condition: What an experiment for claims does to the run beside its stack.
    """

    token: str
    kind: str
    stack: Stack | None
    seed: int
    split_seed: int
    epochs: int
    rungs: tuple[int, ...] = ()
    folder: str = ""
    payload: Mapping[str, Any] | None = None
    again: int = 1
    condition: Condition = PLAIN

    @property
    def run_id(self) -> str:
        """What names the stack's files: its id, under a condition one of both."""
        assert self.stack is not None
        return self.condition.identity(self.stack)


def job_of(spec: StudySpec, lease: Lease) -> Job:
    """Say a lease in the trainer's words."""
    return Job(
        token=lease.token,
        kind=lease.kind,
        stack=lease.stack,
        seed=lease.seed,
        split_seed=lease.seed if lease.kind == CONFIRMATION else spec.seed,
        epochs=spec.epochs,
        rungs=lease.rungs if lease.kind == SEARCH else (),
        folder=f"{folder_of(spec.study)}/{lease.kind}",
        payload=dict(lease.payload),
        again=spec.replicates if lease.kind == CONFIRMATION else 1,
        condition=Condition.from_json(lease.payload.get("condition") or {}),
    )


@dataclass(frozen=True)
class Verdict:
    """Answer at a rung, or an order in between (to the trainer).

    Attributes:
        token: Of which trial.
        outcome: What ends it; None: go on.
        epoch: Of the rung that is answered; 0 for an order.
    """

    token: str
    outcome: str | None
    epoch: int = 0


@dataclass(frozen=True)
class Ready:
    """The trainer has its device and its data (to the supervisor)."""

    device: str


@dataclass(frozen=True)
class Refused:
    """The trainer cannot serve this study (to the supervisor): `error` says why in one line."""

    error: str
    exit_code: int


@dataclass(frozen=True)
class Measured:
    """An epoch has ended; at a rung the trainer now waits (to the supervisor)."""

    token: str
    measurement: Measurement
    waits: bool


@dataclass(frozen=True)
class Done:
    """The job has ended (to the supervisor).

    Attributes:
        token: Of which trial.
        result: How.
        worn: True when the trainer holds so much that is never given back that a fresh one
            should take the next.
    """

    token: str
    result: Result
    worn: bool = False


@dataclass(frozen=True)
class Kept:
    """A confirmation run whose weights were kept.

    Attributes:
        seed: Of weights, batch order and masks, and of the split where the data brings none.
        weights: Path relative to the artifact folder; empty where there is none.
    """

    seed: int
    weights: str
