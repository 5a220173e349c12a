"""A bench that prepares runs and takes their figures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from trainstack.search.folds import SplitId
from trainstack.search.metrics.table import BESIDE
from trainstack.search.records import CONFIRMATION, Measurement, Outcome, Result
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.engine import conditions
from trainstack.workers.engine.bench import Bench
from trainstack.workers.engine.checkpoint import Shelf
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.kept_weights import write_weights
from trainstack.workers.engine.layer_statistics import look_inside
from trainstack.workers.engine.objective import Objective
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.training import Training
from trainstack.workers.messages import Job
from trainstack.workers.tasks.measure import bounded_figures, validation_figures
from trainstack.workers.tasks.reuse import Reuse
from trainstack.workers.tasks.validated import keep_predictions


@dataclass(frozen=True)
class PreparedRun:
    """A job that is ready to train.

    Attributes:
        job: The job.
        split: Its split.
        data: The same on the device.
        program: The program that was reset for it.
        training: Its training.
        inside: Statistics of its layers before training; none if they are not wanted.
    """

    job: Job
    split: Any
    data: DeviceData | StreamedData
    program: Program
    training: Training
    inside: list[dict[str, float]]


class RunBench(Bench):
    """A bench that prepares a trainer's runs and takes their figures.

    Raises:
        RequestError: The data here is not the study's.
    """

    def __init__(self, spec: StudySpec, threads: int, artifacts: str, memory_mb: int = 0) -> None:
        super().__init__(spec, threads, artifacts, memory_mb)
        self.reuse = Reuse(self)

    def program_of(self, job: Job) -> tuple[Program, float]:
        """Return the program of a job, and the seconds spent on building it."""
        _, data = self.split(job.split, stack_of(job), job.condition)
        width = conditions.outputs(job.condition, self.spec.data.outputs)
        return self.program(stack_of(job), data, job.epochs, job.again, width)

    def prepare(self, job: Job, program: Program, looks: bool = True) -> PreparedRun:
        """Return a job's training, with the program reset for it.

        Args:
            job: The job.
            program: Its program.
            looks: Whether statistics of its layers are wanted.
        """
        stack, condition = stack_of(job), job.condition
        split, data = self.split(job.split, stack, condition)
        program.use(data)
        self.start(program, stack, job.seed, data, job.epochs, condition.initializer)
        inside = look_inside(program, stack, data) if looks else []
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
        return PreparedRun(job, split, data, program, training, inside)

    def figures(self, run: PreparedRun, result: Result) -> tuple[dict, dict, dict]:
        """Return metrics, artifacts and payload of a result; the program has its weights."""
        job, program, stack = run.job, run.program, stack_of(run.job)
        layers, artifacts = {"start": run.inside}, {}
        if job.kind == CONFIRMATION and job.folder and result.outcome == Outcome.COMPLETED:
            artifacts = self._keep(job, program)
        if len(job.splits) == 1 and result.outcome == Outcome.COMPLETED:
            artifacts |= self._predictions(job, [run])
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
        found: dict[str, Any] = {"layers": layers}
        if lowered := run.training.lowered_after:
            found["lowered_after"] = lowered
        return metrics, artifacts, found

    @staticmethod
    def seconds_of(result: Result, build: float, evaluate: float, total: float) -> dict[str, float]:
        """Return the seconds of a job's phases; `evaluate` is the time of its figures."""
        spent = {phase: result.seconds.get(phase, 0.0) for phase in ("compile", "train")}
        return {"build": build, **spent, "evaluate": evaluate, "total": total}

    def _scores(self, best: Measurement) -> dict[str, float]:
        """Return accuracy or rmse of the best epoch, and its metric and loss if another decides."""
        asked, scores = self.spec.asked, {BESIDE[self.spec.data.task]: best.metric}
        if self.spec.decided_by_loss:
            return scores
        return {asked.name: asked.objective(best.minimized), **scores, "loss": best.valid_loss}

    def _shelf(self, job: Job, program: Program) -> Shelf:
        """Return the place of a trial's checkpoint, which is the same for every attempt."""
        name = f"{job.run_id}-{job.seed}-{job.split}.checkpoint.npz"
        identity = {
            "data": self.spec.data.fingerprint,
            "stack": job.run_id,
            "seeds": [job.seed, str(job.split)],
            "epochs": job.epochs,
            "compiled": program.structure.compiled,
            "precision": program.structure.precision,
            "asked": [self.spec.asked.name, self.spec.trained_on.name],
        }
        return Shelf(self.artifacts, f"{job.folder}/{name}", identity)

    def _keep(self, job: Job, program: Program) -> dict[str, str]:
        """Write the weights to the study's folder; return kind → name in the store."""
        relative = f"{job.folder}/{job.run_id}-{job.seed}.npz"
        written = write_weights(self.artifacts, relative, program.weights())
        return {"weights": relative} if written else {}

    def _predictions(self, job: Job, runs: Sequence[PreparedRun]) -> dict[str, str]:
        """Write a job's predictions for validation rows; return kind → name in the store.

        Args:
            job: The job; that of a trial on folds has all of their splits.
            runs: One run for each split. The program has the weights of a single one.
        """
        if not job.folder or job.condition or self.spec.experiment:
            return {}

        def parts() -> Iterator[tuple[SplitId, Any, Program]]:
            for run in runs:
                if len(runs) > 1:
                    self.take_best(run)
                yield run.job.split, run.split, run.program

        return keep_predictions(
            self, f"{job.folder}/{job.run_id}-{job.seed}.predictions.npz", parts()
        )

    def joint_result(
        self, job: Job, runs: Sequence[PreparedRun], result: Result, build: float, began: float
    ) -> Result:
        """Return the result of a trial on folds with its figures, which are means over them.

        Layers are those of the first fold.

        Args:
            job: The trial's job.
            runs: Its folds, trained.
            result: The result without figures.
            build: Seconds spent on building the program.
            began: When the trial began, as `time.perf_counter` gives it.
        """
        trained = time.perf_counter()
        first, trainings = runs[0], [run.training for run in runs]
        self.take_best(first)
        of_first = replace(first, job=replace(first.job, folder=""))  # keeps nothing
        metrics, artifacts, found = self.figures(of_first, result)
        if result.outcome == Outcome.COMPLETED:
            artifacts = self._predictions(job, runs)
        scores = [self._scores(training.best) for training in trainings if training.best]
        metrics |= {name: fmean([each[name] for each in scores]) for name in next(iter(scores), {})}
        now = time.perf_counter()
        seconds = {"build": build, "evaluate": now - trained, "total": now - began}
        for phase in ("compile", "train"):
            seconds[phase] = sum(training.seconds.get(phase, 0.0) for training in trainings)
        values = [training.best.minimized if training.best else None for training in trainings]
        return replace(
            result,
            metrics=metrics,
            seconds=seconds,
            artifacts=artifacts,
            payload={**found, "folds": values},
        )

    @staticmethod
    def take_best(run: PreparedRun) -> None:
        """Give a run's program its best weights."""
        run.program.use(run.data)
        if run.training.best_weights:
            run.program.set_weights(run.training.best_weights)


def stack_of(job: Job) -> Stack:
    """Return the stack of a training job."""
    assert job.stack is not None
    return job.stack
