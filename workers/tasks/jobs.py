"""The trainer's jobs: training runs, and the single measurement on the test set."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from trainstack.search.metrics.table import BESIDE
from trainstack.search.records import CONFIRMATION, Measurement, Outcome, Result
from trainstack.search.spec import StudySpec
from trainstack.workers.engine import conditions
from trainstack.workers.engine.bench import Bench
from trainstack.workers.engine.checkpoint import Shelf, write_arrays
from trainstack.workers.engine.layer_statistics import look_inside
from trainstack.workers.engine.objective import Objective
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.training import Training
from trainstack.workers.messages import Job
from trainstack.workers.tasks.measure import bounded_figures, measure, validation_figures
from trainstack.workers.tasks.reuse import Reuse

log = logging.getLogger("trainstack.trainer")


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
        assert job.stack is not None
        began = time.perf_counter()
        stack, condition = job.stack, job.condition
        split, data = self.split(job.split_seed, condition)
        width = conditions.outputs(condition, self.spec.data.outputs)
        program, build_seconds = self.program(stack, data, job.epochs, job.again, width)
        program.reset(stack, job.seed)
        if condition.initializer:
            conditions.redraw(program, condition.initializer, job.seed)
        layers = {"start": look_inside(program, stack, data)}
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
        result = training.run(data, judge)
        artifacts = {}
        if job.kind == CONFIRMATION and job.folder and result.outcome == Outcome.COMPLETED:
            artifacts = self._keep(job, program)
        metrics: dict[str, float] = {"parameters": float(program.model.count_params())}
        if training.best:
            metrics |= self._scores(training.best)
        if result.outcome == Outcome.COMPLETED:
            layers["end"] = look_inside(program, stack, data)
            if job.kind == CONFIRMATION and not condition:  # bounds are about what can be exported
                metrics |= bounded_figures(self, stack, program, split)
                beside = validation_figures(self, program, split)
                # The figures of the training program stay: they decided.
                metrics = {k: v for k, v in beside.items() if k != "loss"} | metrics
        seconds = {
            "build": build_seconds,
            "compile": result.seconds.get("compile", 0.0),
            "train": result.seconds.get("train", 0.0),
            "evaluate": 0.0,
            "total": time.perf_counter() - began,
        }
        found = {"layers": layers}
        return replace(result, metrics=metrics, seconds=seconds, artifacts=artifacts, payload=found)

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
