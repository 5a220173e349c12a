"""The trainer's jobs: training runs, and the single measurement on the test set."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from trainstack.search.records import CONFIRMATION, Measurement, Outcome, Result
from trainstack.workers.engine import conditions
from trainstack.workers.engine.bundle import Bundle
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.together import train_together
from trainstack.workers.messages import Job
from trainstack.workers.tasks.fold_trial import Monitor, train_folds
from trainstack.workers.tasks.measure import measure
from trainstack.workers.tasks.refit import keep_refit
from trainstack.workers.tasks.runs import RunBench, stack_of


class JobBench(RunBench):
    """A bench that runs a trainer's jobs.

    Raises:
        RequestError: The data here is not the study's.
    """

    def train(self, job: Job, judge: Callable[[Measurement], str | None]) -> Result:
        """Train one trial; a confirmation keeps its weights."""
        conditions.check(job, bool(self.spec.experiment))
        try:
            return self._train(job, judge)
        except conditions.UnmetError as error:
            return Result(Outcome.INFEASIBLE, cause=str(error))

    def _train(self, job: Job, judge: Callable[[Measurement], str | None]) -> Result:
        began = time.perf_counter()
        program, build_seconds = self.program_of(job)
        run = self.prepare(job, program)
        result = run.training.run(run.data, judge)
        trained = time.perf_counter()
        metrics, artifacts, found = self.figures(run, result)
        now = time.perf_counter()
        seconds = self.seconds_of(result, build_seconds, now - trained, now - began)
        return replace(result, metrics=metrics, seconds=seconds, artifacts=artifacts, payload=found)

    def train_folds(self, job: Job, monitor: Monitor) -> Result:
        """Train a search trial on its folds; see `trainstack.workers.tasks.fold_trial`."""
        return train_folds(self, job, monitor)

    def room(self, job: Job) -> int:
        """Return how many more jobs of its structure can be trained together with a job."""
        if job.kind != CONFIRMATION or job.condition.pretrained:
            return 0
        try:
            _, data = self.split(job.split, stack_of(job), job.condition)
        except conditions.UnmetError:
            return 0
        return self.most_networks(stack_of(job), data, job.epochs, job.again) - 1

    def train_bundle(
        self, jobs: Sequence[Job], judge: Callable[[Job, Measurement], str | None]
    ) -> list[Result]:
        """Train jobs of one structure at once; return their results, in order."""
        began = time.perf_counter()
        program, build_seconds = self.program_of(jobs[0])
        _, data = self.split(jobs[0].split, stack_of(jobs[0]), jobs[0].condition)

        def bundle_of(networks: int) -> Bundle:
            return self.bundle(program, stack_of(jobs[0]), networks, data, jobs[0].epochs)

        bundle = bundle_of(len(jobs))
        runs = []
        for k, job in enumerate(jobs):
            conditions.check(job, bool(self.spec.experiment))
            runs.append(self.prepare(job, bundle.program))
            bundle.load(k)
        results = train_together(
            bundle,
            [run.training for run in runs],
            [cast(DeviceData, run.data) for run in runs],
            [partial(judge, job) for job in jobs],
            bundle_of,
        )
        found, trained = [], time.perf_counter()
        for run, result in zip(runs, results, strict=True):
            self.take_best(run)
            found.append((result, *self.figures(run, result)))
        now = time.perf_counter()
        build, evaluate, total = (
            spent / len(jobs) for spent in (build_seconds, now - trained, now - began)
        )
        return [
            replace(
                result,
                metrics=metrics,
                seconds=self.seconds_of(result, build, evaluate, total),
                artifacts=artifacts,
                payload=payload,
            )
            for result, metrics, artifacts, payload in found
        ]

    def refit(self, job: Job) -> Result:
        """Train a network for the models to export, and keep it for the measurement."""
        return keep_refit(self, job)

    def measure(self, job: Job) -> Result:
        """Measure the chosen stack and the baseline on the test set, once."""
        return measure(self, job)
