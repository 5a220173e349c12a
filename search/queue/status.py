"""The record of a study's status, as `status --json` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainstack.search.records import Phase, TaskKind
from trainstack.search.spec import over_folds


@dataclass(frozen=True)
class Budget:
    """The size of a search.

    Attributes:
        trials: Maximum number of search trials.
        asked: Number requested at launch.
    """

    trials: int
    asked: int


@dataclass(frozen=True)
class Best:
    """The best completed search trial.

    Attributes:
        trial: Its number.
        value: Its objective.
    """

    trial: int
    value: float


@dataclass(frozen=True)
class WorkerStatus:
    """A worker that has not left.

    Attributes:
        id: Host, process and number.
        host: Its machine.
        device: Such as `cpu` or `gpu:0`.
        threads: Number of training threads.
        version: Its version of this package.
        state: Its activity; `lost` after a minute without a heartbeat.
        trial: The trial that it trains; of several trained at once the first.
        kind: `search`, `confirmation`, `measurement` or `refit`.
        last_seen_seconds: Seconds since its last heartbeat.
    """

    id: str
    host: str
    device: str
    threads: int
    version: str
    state: str
    trial: int | None
    kind: TaskKind | None
    last_seen_seconds: float


@dataclass(frozen=True)
class StudyStatus:
    """The state of a study.

    Attributes:
        study: Its name.
        state: `searching`, `confirming`, `concluded`, `paused` or `stopped`.
        phase: `searching`, `confirming` or `concluded`, also while paused or stopped.
        budget: The size of the search.
        epochs: Maximum epochs of a trial.
        folds: Folds of a trial, whose value is the mean over them; 1: none.
        repeats: Times that the rows are divided into folds.
        metric: Name of the metric that decides.
        objective: The number that is minimized: `loss`, the metric, or `1 - metric`.
        counts: Search trials by outcome; `retried`: further attempts.
        confirmation: The same for the confirmation's runs.
        measurement: The same for the measurement on the test set.
        best: Best completed trial; null before the first.
        workers: Workers that have not left.
        timeout_seconds: Time limit of the study.
        remaining_seconds: Time left.
        created: Time of creation, ISO 8601.
        elapsed_seconds: Time in which workers were at it, until now or until it concluded.
        concluded: Whether the study is finished.
        confirmation_at_most: Most runs that the confirmation may take; those that wait or run are
            certain.
        run_seconds: A worker's mean time for the latest trials, or the latest runs while it
            confirms; null before the first ended.
        network: Name of the user's own network; empty: dense layers.
    """

    study: str
    state: str
    phase: Phase
    budget: Budget
    epochs: int
    folds: int
    repeats: int
    metric: str
    objective: str
    counts: Mapping[str, int]
    confirmation: Mapping[str, int]
    measurement: Mapping[str, int]
    best: Best | None
    workers: tuple[WorkerStatus, ...]
    timeout_seconds: float | None
    remaining_seconds: float | None
    created: str
    elapsed_seconds: float
    concluded: bool
    confirmation_at_most: int = 0
    run_seconds: float | None = None
    network: str = ""

    @property
    def over_folds(self) -> str:
        """What the value of a trial is, as an apposition: `, the mean over 5 folds`, or nothing."""
        words = over_folds(self.folds, self.repeats)
        return f", {words}" if words else ""
