"""The record of `launch --preview`: what would be trained, and how long the search would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainstack.search.data_spec import DataSpec
from trainstack.search.preview import Sample, Tried
from trainstack.search.preview_time import trial_seconds
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack


@dataclass(frozen=True)
class Budget:
    """The limits of a search.

    Attributes:
        trials: Maximum number of trials.
        timeout_seconds: Time limit of the study; null: none.
    """

    trials: int
    timeout_seconds: float | None


@dataclass(frozen=True)
class TriedStack:
    """A stack that was built and trained for some steps.

    Attributes:
        arms: Arms that it represents.
        stack: The stack.
        stack_id: Its fingerprint.
        cause: Reason why it cannot be trained, or null.
        build_seconds: Time for building, tracing and compiling.
        epoch_seconds: Estimated time of one epoch, including validation.
        parameters: Number of weights of the network.
    """

    arms: tuple[str, ...]
    stack: Stack
    stack_id: str
    cause: str | None
    build_seconds: float
    epoch_seconds: float
    parameters: int


@dataclass(frozen=True)
class Refused:
    """A choice that cannot be trained.

    Attributes:
        what: The arm, or the stack.
        cause: The reason.
    """

    what: str
    cause: str


@dataclass(frozen=True)
class Duration:
    """The estimated time of a search.

    Attributes:
        trial_seconds: Mean time of a full-length trial.
        search_seconds: Time of all trials on these workers, at most the time limit.
    """

    trial_seconds: float
    search_seconds: float


@dataclass(frozen=True)
class Preview:
    """What a launch would train.

    Attributes:
        study: The study's name.
        data: The data.
        space: The space's name.
        budget: The limits of the search.
        epochs: Maximum epochs of a trial.
        replicates: Number of fresh seeds in the confirmation.
        folds: Number of folds of a trial; 1: none.
        repeats: Times that the rows are divided into folds.
        workers: Number of workers that would train.
        tried: Stacks that were built and trained for some steps.
        refused: Choices that cannot be trained.
        estimate: Time of the search; null if nothing could be trained.
    """

    study: str
    data: DataSpec
    space: str
    budget: Budget
    epochs: int
    replicates: int
    folds: int
    repeats: int
    workers: int
    tried: tuple[TriedStack, ...]
    refused: tuple[Refused, ...]
    estimate: Duration | None


def preview_of(
    spec: StudySpec, tried: Sequence[Tried], refused: Sequence[Tried], workers: int
) -> Preview:
    """Return the record of a preview.

    Args:
        spec: Spec of the study.
        tried: Results of all samples.
        refused: Those that cannot be trained.
        workers: Number of workers that would train.
    """
    estimate = None
    if any(not t.cause for t in tried):
        mean = trial_seconds(tried, spec)
        whole, limit = spec.trials * mean / max(1, workers), spec.timeout_seconds
        estimate = Duration(mean, whole if limit is None else min(whole, limit))
    return Preview(
        study=spec.study,
        data=spec.data,
        space=spec.space["name"],
        budget=Budget(spec.trials, spec.timeout_seconds),
        epochs=spec.epochs,
        replicates=spec.replicates,
        folds=spec.folds,
        repeats=spec.repeats,
        workers=workers,
        tried=tuple(
            TriedStack(
                arms=tuple(t.sample.arms),
                stack=t.sample.stack,
                stack_id=t.sample.stack.stack_id,
                cause=t.cause or None,
                build_seconds=t.build_seconds,
                epoch_seconds=t.epoch_seconds,
                parameters=t.parameters,
            )
            for t in tried
        ),
        refused=tuple(Refused(name_of(t.sample), t.cause) for t in refused),
        estimate=estimate,
    )


def name_of(sample: Sample) -> str:
    """Return the arms of a sample, or the fingerprint of a given stack."""
    return ", ".join(sample.arms) if sample.arms else f"stack {sample.stack.stack_id}"
