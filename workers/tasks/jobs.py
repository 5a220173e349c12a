"""The trainer's jobs: training runs, and the single measurement on the test set."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from trainstack.search.metrics.table import BESIDE
from trainstack.search.records import CONFIRMATION, Measurement, Outcome, Result
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.engine import conditions
from trainstack.workers.engine.bench import Bench
from trainstack.workers.engine.checkpoint import Shelf, write_arrays
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.layer_statistics import look_inside
from trainstack.workers.engine.objective import Objective
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.together import train_together
from trainstack.workers.engine.training import Training
from trainstack.workers.messages import Job
from trainstack.workers.tasks.measure import bounded_figures, measure, validation_figures
from trainstack.workers.tasks.reuse import Reuse

log = logging.getLogger("trainstack.trainer")


@dataclass(frozen=True)
class _Run:
    """A job that is ready to train.

    Attributes:
        job: The job.
        split: Its split.
        data: The same on the device.
        program: The program that was reset for it.
        training: Its training.
        inside: Statistics of its layers before training.
    """

    job: Job
    split: Any
    data: DeviceData | StreamedData
    program: Program
    training: Training
    inside: list[dict[str, float]]


class JobBench(Bench):
    """A bench that runs a trainer's jobs.

    Raises:
        RequestError: The data here is not the study's.
    """

    def __init__(self, spec: StudySpec, threads: int, artifacts: str, memory_mb: int = 0) -> None:
        super().__init__(spec, threads, artifacts, memory_mb)
        self.reuse = Reuse(self)

    def train(self, job: Job, judge: Callable[[Measurement], str | None]) -> Result:
        """Train one trial; a confirmation keeps its weights."""
        conditions.check(job, bool(self.spec.experiment))
        try:
            return self._train(job, judge)
        except conditions.UnmetError as error:
            return Result(Outcome.INFEASIBLE, cause=str(error))

    def _train(self, job: Job, judge: Callable[[Measurement], str | None]) -> Result:
        began = time.perf_counter()
        program, build_seconds = self._program(job)
        run = self._prepare(job, program)
        result = run.training.run(run.data, judge)
        metrics, artifacts, found = self._figures(run, result)
        seconds = self._seconds(result, build_seconds, time.perf_counter() - began)
        return replace(result, metrics=metrics, seconds=seconds, artifacts=artifacts, payload=found)

    def room(self, job: Job) -> int:
        """Return how many more jobs of its structure can be trained together with a job."""
        if job.kind != CONFIRMATION or job.condition.pretrained:
            return 0
        try:
            _, data = self.split(job.split_seed, job.condition)
        except conditions.UnmetError:
            return 0
        return self.most_networks(_stack(job), data) - 1 if isinstance(data, DeviceData) else 0

    def train_bundle(
        self, jobs: Sequence[Job], judge: Callable[[Job, Measurement], str | None]
    ) -> list[Result]:
        """Train jobs of one structure at once; return their results, in order."""
        began = time.perf_counter()
        program, build_seconds = self._program(jobs[0])
        bundle = self.bundle(program, _stack(jobs[0]), len(jobs))
        runs = []
        for k, job in enumerate(jobs):
            conditions.check(job, bool(self.spec.experiment))
            runs.append(self._prepare(job, bundle.program))
            bundle.load(k)
        results = train_together(
            bundle,
            [run.training for run in runs],
            [cast(DeviceData, run.data) for run in runs],
            [partial(judge, job) for job in jobs],
            lambda networks: self.bundle(program, _stack(jobs[0]), networks),
        )
        found = []
        for run, result in zip(runs, results, strict=True):
            run.program.use(run.data)
            if run.training.best_weights:
                run.program.set_weights(run.training.best_weights)
            found.append((result, *self._figures(run, result)))
        share = (time.perf_counter() - began) / len(jobs)
        return [
            replace(
                result,
                metrics=metrics,
                seconds=self._seconds(result, build_seconds / len(jobs), share),
                artifacts=artifacts,
                payload=payload,
            )
            for result, metrics, artifacts, payload in found
        ]

    def _program(self, job: Job) -> tuple[Program, float]:
        """Return the program of a job, and the seconds spent on building it."""
        _, data = self.split(job.split_seed, job.condition)
        width = conditions.outputs(job.condition, self.spec.data.outputs)
        return self.program(_stack(job), data, job.epochs, job.again, width)

    def _prepare(self, job: Job, program: Program) -> _Run:
        """Return a job's training, with the program reset for it."""
        stack, condition = _stack(job), job.condition
        split, data = self.split(job.split_seed, condition)
        program.use(data)
        program.reset(stack, job.seed)
        if condition.initializer:
            conditions.redraw(program, condition.initializer, job.seed)
        inside = look_inside(program, stack, data)
        training = Training(
            program,
            conditions.unfrozen(stack) if condition.pretrained else stack,
            job.seed,
            job.epochs,
            self.untrained_loss(split),
            metric_scale=split.y_scale,
            objective=Objective.of(self.spec, split),
            shelf=self._shelf(job, program) if job.folder else None,
            start=(lambda: self.reuse.start(job, program)) if condition.pretrained else None,
        )
        return _Run(job, split, data, program, training, inside)

    def _figures(self, run: _Run, result: Result) -> tuple[dict, dict, dict]:
        """Return metrics, artifacts and payload of a result; the program has its weights."""
        job, program, stack = run.job, run.program, _stack(run.job)
        layers, artifacts = {"start": run.inside}, {}
        if job.kind == CONFIRMATION and job.folder and result.outcome == Outcome.COMPLETED:
            artifacts = self._keep(job, program)
        metrics: dict[str, float] = {"parameters": float(program.model.count_params())}
        if run.training.best:
            metrics |= self._scores(run.training.best)
        if result.outcome == Outcome.COMPLETED:
            layers["end"] = look_inside(program, stack, run.data)
            # Bounds are about what can be exported.
            if job.kind == CONFIRMATION and not job.condition:
                metrics |= bounded_figures(self, stack, program, run.split)
                beside = validation_figures(self, program, run.split)
                # The figures of the training program stay: they decided.
                metrics = {k: v for k, v in beside.items() if k != "loss"} | metrics
        return metrics, artifacts, {"layers": layers}

    @staticmethod
    def _seconds(result: Result, build: float, total: float) -> dict[str, float]:
        spent = {phase: result.seconds.get(phase, 0.0) for phase in ("compile", "train")}
        return {"build": build, **spent, "evaluate": 0.0, "total": total}

    def _scores(self, best: Measurement) -> dict[str, float]:
        """Return accuracy or rmse of the best epoch, and its metric and loss if another decides."""
        asked, scores = self.spec.asked, {BESIDE[self.spec.data.task]: best.metric}
        if self.spec.decided_by_loss:
            return scores
        return {asked.name: asked.objective(best.minimized), **scores, "loss": best.valid_loss}

    def _shelf(self, job: Job, program: Program) -> Shelf:
        """Return the place of a trial's checkpoint, which is the same for every attempt."""
        name = f"{job.run_id}-{job.seed}-{job.split_seed}.checkpoint.npz"
        identity = {
            "data": self.spec.data.fingerprint,
            "stack": job.run_id,
            "seeds": [job.seed, job.split_seed],
            "epochs": job.epochs,
            "compiled": program.structure.compiled,
            "precision": program.structure.precision,
            "asked": [self.spec.asked.name, self.spec.trained_on.name],
        }
        return Shelf(self.artifacts, f"{job.folder}/{name}", identity)

    def _keep(self, job: Job, program: Program) -> dict[str, str]:
        """Write the weights to the study's folder; return kind → name in the store.

        A failed write does not stop the study: the weights are trained again when needed.
        """
        relative = f"{job.folder}/{job.run_id}-{job.seed}.npz"
        try:
            weights = {f"arr_{k}": w for k, w in enumerate(program.weights())}
            write_arrays(self.artifacts, relative, weights)
        except OSError as error:
            log.warning("weights not kept in %s (%s)", self.artifacts, error)
            return {}
        return {"weights": relative}

    def measure(self, job: Job) -> Result:
        """Measure the chosen stack and the baseline on the test set, once."""
        return measure(self, job)


def _stack(job: Job) -> Stack:
    """Return the stack of a training job."""
    assert job.stack is not None
    return job.stack
