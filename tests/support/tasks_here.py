"""A study's trainings in the test's own process, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainstack.search.evidence.planned_run import confirmation_seed
from trainstack.search.folds import confirmation_split, search_splits
from trainstack.search.payloads import MeasurementPayload, PoolMember, Refit
from trainstack.search.records import CONFIRMATION, SEARCH, Result
from trainstack.spaces.stack import Stack
from trainstack.workers.messages import Job
from trainstack.workers.tasks.jobs import JobBench

Run = tuple[Job, Result]


class Patient:
    """Lets every fold be trained."""

    def tell(self, job: Job, measurement: Any) -> None:
        return None

    def after_first_folds(self, job: Job, values: Any) -> None:
        return None

    def alive(self, job: Job) -> None:
        return None


def searched(bench: JobBench, stack: Stack, seed: int = 3) -> Run:
    """Train a search trial."""
    spec = bench.spec
    job = Job("t", SEARCH, stack, seed, search_splits(spec), spec.epochs, folder="s")
    if len(job.splits) > 1:
        return job, bench.train_folds(job, Patient())
    return job, bench.train(job, lambda measurement: None)


def confirmed(bench: JobBench, stack: Stack, index: int) -> Run:
    """Train the confirmation run of an index."""
    spec = bench.spec
    seed, split = confirmation_seed(spec.seed, index), confirmation_split(spec, index)
    job = Job("t", CONFIRMATION, stack, seed, (split,), spec.epochs, folder="c")
    return job, bench.train(job, lambda measurement: None)


def measurement(chosen: Stack, runs: Sequence[Run], trials: Sequence[Run]) -> MeasurementPayload:
    """Return the input of a measurement.

    Args:
        chosen: The stack of the confirmation's runs.
        runs: These runs, by index.
        trials: The search's trials.
    """
    kept = {str(index): dict(result.artifacts) for index, (_, result) in enumerate(runs)}
    lengths = sorted(result.best_epoch for _, result in runs)
    refits = tuple(Refit(job.seed, lengths[(len(runs) - 1) // 2]) for job, _ in runs)
    pool = []
    for job, result in trials:
        assert job.stack is not None
        files = (result.artifacts["predictions"],)
        pool.append(PoolMember(job.stack, Refit(job.seed, result.best_epoch), files))
    return MeasurementPayload(chosen, chosen, {chosen.stack_id: kept}, refits, tuple(pool))
