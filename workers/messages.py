"""Messages between supervisor and trainer, sent through one pipe."""

from __future__ import annotations

from dataclasses import dataclass

from trainstack.search.artifact_names import folder_of
from trainstack.search.conditions import PLAIN, Condition
from trainstack.search.folds import SplitId, splits_of
from trainstack.search.payloads import ConfirmationPayload, MeasurementPayload, Refit, RefitPayload
from trainstack.search.queue.lease import Lease
from trainstack.search.records import CONFIRMATION, SEARCH, Measurement, Result
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack

# Verdicts: stop with a checkpoint, so that the trial can be resumed later or elsewhere; and stop
# without writing anything, because another worker already has the trial.
INTERRUPTED, ABANDONED = "interrupted", "abandoned"
# Outcome of a result that the supervisor turns into one of the study's outcomes.
OUT_OF_MEMORY = "out of memory"


@dataclass(frozen=True)
class Setup:
    """What a trainer serves (to the trainer, once, before the first job).

    Attributes:
        spec: The study's specification.
        artifacts: Place of the artifacts.
        threads: Number of threads to train with; 0: one per core.
        memory_mb: Limit of the trainer's memory, or of its GPU's if it has one; 0: no limit.
    """

    spec: StudySpec
    artifacts: str
    threads: int = 0
    memory_mb: int = 0


@dataclass(frozen=True)
class Job:
    """A job to run (to the trainer).

    Attributes:
        token: Fencing token of the lease; every reply carries it.
        kind: Kind of the task.
        stack: Stack to train; None for a measurement.
        seed: Seed of weights, batch order and masks.
        splits: The splits to train on, one network for each; unused by a refit.
        epochs: Maximum number of epochs.
        rungs: Epochs after which the trainer waits for a verdict.
        folder: Folder for artifacts, relative to the artifact folder; empty: none are kept.
        measures: Input of a measurement; None for training.
        refit: Training on all rows that are not for testing; None for other kinds.
        again: Expected number of runs of the same structure, including this one.
        condition: Changes that an experiment for claims makes to the run besides its stack.
    """

    token: str
    kind: str
    stack: Stack | None
    seed: int
    splits: tuple[SplitId, ...]
    epochs: int
    rungs: tuple[int, ...] = ()
    folder: str = ""
    measures: MeasurementPayload | None = None
    refit: Refit | None = None
    again: int = 1
    condition: Condition = PLAIN

    @property
    def split(self) -> SplitId:
        """The first split."""
        return self.splits[0]

    @property
    def run_id(self) -> str:
        """Name of the stack's files: its id, combined with the condition if there is one."""
        assert self.stack is not None
        return self.condition.identity(self.stack)


def job_of(spec: StudySpec, lease: Lease) -> Job:
    """Return the job that a lease stands for."""
    payload, splits = lease.payload, splits_of(spec, lease.kind, lease.seed_index)
    return Job(
        token=lease.token,
        kind=lease.kind,
        stack=lease.stack,
        seed=lease.seed,
        splits=splits,
        epochs=spec.epochs,
        rungs=lease.rungs if lease.kind == SEARCH else (),
        folder=f"{folder_of(spec.study)}/{lease.kind}",
        measures=payload if isinstance(payload, MeasurementPayload) else None,
        refit=payload.refit if isinstance(payload, RefitPayload) else None,
        again=spec.replicates if lease.kind == CONFIRMATION else len(splits),
        condition=payload.condition if isinstance(payload, ConfirmationPayload) else PLAIN,
    )


@dataclass(frozen=True)
class MoreJobs:
    """Answer to `Room` (to the trainer).

    Attributes:
        token: Token of the job that the trainer has.
        jobs: Jobs to train together with it; none if there are none.
    """

    token: str
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Verdict:
    """Answer at a rung, or an order between rungs (to the trainer).

    Attributes:
        token: Token of the trial.
        outcome: Outcome that ends the trial; None: continue.
        epoch: Epoch of the rung; 0 for an order, and after the first folds.
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
    """The trainer cannot serve this study (to the supervisor); `error` is the reason in a line."""

    error: str
    exit_code: int


@dataclass(frozen=True)
class Room:
    """The trainer waits for jobs of the same structure (to the supervisor).

    Attributes:
        token: Token of the job that it has.
        most: Number of jobs that it can train together with this one.
    """

    token: str
    most: int


@dataclass(frozen=True)
class FirstFolds:
    """A trial's first folds are trained, and the trainer waits for a verdict (to the supervisor).

    Attributes:
        token: Token of the trial.
        values: The objective of each.
    """

    token: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Alive:
    """The trainer has trained an epoch that is not reported (to the supervisor)."""

    token: str


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
        token: Token of the trial.
        result: The job's result.
        worn: True when the trainer holds so much memory that cannot be released that a new
            trainer should take the next job.
    """

    token: str
    result: Result
    worn: bool = False


@dataclass(frozen=True)
class Kept:
    """A confirmation run whose weights were kept.

    Attributes:
        seed: Seed of weights, batch order and masks.
        split: Its split.
        weights: Path relative to the artifact folder; empty if there are no weights.
        predictions: The same of its predictions for validation rows.
    """

    seed: int
    split: SplitId
    weights: str
    predictions: str = ""
