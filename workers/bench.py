"""The trainer's bench: device, data and compiled programs, and the two kinds of work on them."""

from __future__ import annotations

import logging
import math
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from search.artifacts import open_store
from search.conditions import PLAIN, Condition
from search.data.sharing import obtain
from search.fleet.connect import artifacts as artifact_place
from search.fleet.connect import home
from search.records import CONFIRMATION, Measurement, Result
from search.spec import StudySpec
from spaces.stack import Stack
from workers import conditions
from workers.checkpoint import Shelf, write_arrays
from workers.engine import Program, rewrite_graphs
from workers.inside import look_inside
from workers.memory import limit_memory
from workers.messages import Job, Kept
from workers.precision import check_precision
from workers.programs import Programs
from workers.resident import DeviceData
from workers.settings import set_keras
from workers.streaming import StreamedData, put, resident_bytes
from workers.structure import Structure, shaping_items, worth_compiling
from workers.train import Training

log = logging.getLogger("trainstack.trainer")

# Splits kept on the device: a confirmation trains every candidate on the same few.
MOST_SPLITS = 8


class Bench:
    """Everything that outlives a job in the trainer.

    Raises:
        RequestError: The data here is not the study's.
    """

    def __init__(self, spec: StudySpec, threads: int, artifacts: str, memory_mb: int = 0) -> None:
        set_keras()
        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        gpus = tf.config.list_physical_devices("GPU")
        if not gpus:
            rewrite_graphs(False)
        limit_memory(gpus, memory_mb)
        self.device = "gpu" if gpus else "cpu"
        self.threads = threads
        check_precision(spec.precision, gpus)
        self.spec, self.artifacts = spec, open_store(artifacts)
        self.dataset = obtain(spec.data, lambda: open_store(artifact_place()), home() / "shared")
        self.programs = Programs()
        self.fits_bytes = resident_bytes(self.device, threads, memory_mb)
        self.reuse = conditions.Reuse(self)
        self._splits: dict[Any, tuple[Any, DeviceData | StreamedData]] = {}

    def split(
        self, seed: int, condition: Condition = PLAIN
    ) -> tuple[Any, DeviceData | StreamedData]:
        """Return a split and its standardised parts on the device, as a condition leaves them."""
        if "valid" in self.dataset.parts:
            seed = 0  # the data brings its own: every seed gives the same split
        key = seed, replace(condition, initializer="", pretrained="")
        if key not in self._splits:
            classes = len(self.spec.data.classes)
            split = conditions.changed(self.dataset.split(seed), condition, classes, seed)
            data = put(split, self.fits_bytes // MOST_SPLITS, DeviceData)
            while len(self._splits) >= MOST_SPLITS:
                del self._splits[next(iter(self._splits))]
            self._splits[key] = split, data
        return self._splits[key]

    def program(
        self,
        stack: Stack,
        data: DeviceData | StreamedData,
        epochs: int,
        runs: int = 1,
        outputs: int = 0,
        task: str = "",
    ) -> tuple[Program, float]:
        """Return the stack's program, ready for `reset`, and the seconds that building took.

        Its head is as wide as `outputs` and its loss that of `task`, the data's unless given.
        """
        began = time.perf_counter()
        rows = data.rows
        steps = stack.planned_epochs(epochs) * max(1, rows[0] // stack["batch_size"])
        structure = Structure(
            stack=shaping_items(stack),
            features=data.features,
            outputs=outputs or self.spec.data.outputs,
            task=task or self.spec.data.task,
            rows=rows,
            compiled=worth_compiling(stack, data.features, steps, runs),
            precision=self.spec.precision,
        )
        program, _ = self.programs.get(structure, lambda: Program(structure, stack))
        return program, time.perf_counter() - began

    def train(self, job: Job, judge: Callable[[Measurement], str | None]) -> Result:
        """Train one trial; a confirmation keeps its weights."""
        conditions.check(job, bool(self.spec.experiment))
        try:
            return self._train(job, judge)
        except conditions.UnmetError as error:
            return Result("infeasible", cause=str(error))

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
            metric_scale=float(split.y_scale) if self.spec.data.task == "regression" else 1.0,
            shelf=self._shelf(job, program) if job.folder else None,
            start=(lambda: self.reuse.start(job, program)) if condition.pretrained else None,
        )
        result = training.run(data, judge)
        artifacts = {}
        if job.kind == CONFIRMATION and job.folder and result.outcome == "completed":
            artifacts = self._keep(job, program)
        name = "accuracy" if self.spec.data.task == "classification" else "rmse"
        metrics: dict[str, float] = {"parameters": float(program.model.count_params())}
        if training.best:
            metrics[name] = training.best.metric
        if result.outcome == "completed":
            layers["end"] = look_inside(program, stack, data)
            if job.kind == CONFIRMATION and not condition:  # bounds are about what can be exported
                metrics |= self._bounded(stack, program, split)
        seconds = {
            "build": build_seconds,
            "compile": result.seconds.get("compile", 0.0),
            "train": result.seconds.get("train", 0.0),
            "evaluate": 0.0,
            "total": time.perf_counter() - began,
        }
        found = {"layers": layers}
        return replace(result, metrics=metrics, seconds=seconds, artifacts=artifacts, payload=found)

    def _shelf(self, job: Job, program: Program) -> Shelf:
        """Return the place of a trial's checkpoint; any attempt, anywhere, finds the same."""
        name = f"{job.run_id}-{job.seed}-{job.split_seed}.checkpoint.npz"
        identity = {
            "data": self.spec.data.fingerprint,
            "stack": job.run_id,
            "seeds": [job.seed, job.split_seed],
            "epochs": job.epochs,
            "compiled": program.structure.compiled,
            "precision": program.structure.precision,
        }
        return Shelf(self.artifacts, f"{job.folder}/{name}", identity)

    def _keep(self, job: Job, program: Program) -> dict[str, str]:
        """Write the weights beside the others of this study; return what and where.

        Where there is no room the study goes on: who needs the weights trains them again.
        """
        relative = f"{job.folder}/{job.run_id}-{job.seed}.npz"
        try:
            weights = {f"arr_{k}": w for k, w in enumerate(program.weights())}
            write_arrays(self.artifacts, relative, weights)
        except OSError as error:
            log.warning("weights not kept in %s (%s)", self.artifacts, error)
            return {}
        return {"weights": relative}

    def weights(self, stack: Stack, run: Kept) -> tuple[Program, Any]:
        """Return a program holding a confirmation run's best weights, and its split.

        Where the file cannot be seen from here the run is trained again: same seed, same data.
        """
        split, data = self.split(run.seed)
        program, _ = self.program(stack, data, self.spec.epochs, self.spec.replicates)
        program.reset(stack, run.seed)
        if (kept := self._kept(run.weights)) is not None:
            program.set_weights(kept)
        else:
            untrained = self.untrained_loss(split)
            training = Training(program, stack, run.seed, self.spec.epochs, untrained)
            training.run(data, lambda measurement: None)
        return program, split

    def _kept(self, name: str) -> list[np.ndarray] | None:
        """Return kept weights; None where they cannot be read from here."""
        if not name:
            return None
        try:
            with self.artifacts.read(name) as file, np.load(file, allow_pickle=False) as stored:
                return [stored[array] for array in stored.files]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            log.warning("the weights %s cannot be read (%s): trained again", name, error)
            return None

    def _bounded(self, stack: Stack, program: Program, split: Any) -> dict[str, float]:
        """Measure what the study's constraints and its profile are about, if anything."""
        from workers.measure import bounded_figures

        return bounded_figures(self, stack, program, split)

    def measure(self, job: Job) -> Result:
        """Look at the test set: once, for the chosen stack and the baseline."""
        from workers.measure import measure

        return measure(self, job)

    def untrained_loss(self, split: Any) -> float:
        """Return the loss that a network which has learnt nothing may have; see there."""
        return untrained_loss(split, self.spec.data.task)

    @property
    def worn(self) -> bool:
        """True when a fresh trainer should take the next job."""
        return self.programs.worn

    @staticmethod
    def out_of_memory(error: Exception) -> bool:
        """True when the device or the machine had no room for the trial."""
        return isinstance(error, MemoryError | tf.errors.ResourceExhaustedError)


def untrained_loss(split: Any, task: str) -> float:
    """Return the loss that a network which has learnt nothing may have.

    The cross-entropy of equal probabilities, ln K for K classes: fresh weights know nothing of a
    rare class, whose frequencies have a far lower entropy. For regression 1, the variance of a
    standardised target.
    """
    return 1.0 if task == "regression" else math.log(max(2, int(split.y_train.max()) + 1))


def trivial_loss(split: Any, task: str) -> float:
    """Return the training loss of always predicting the training part's class frequencies.

    Cross-entropy of the frequencies (nats), or 1 (variance of a standardised target).
    """
    if task == "regression":
        return 1.0
    counts = np.bincount(split.y_train)
    frequencies = np.clip(counts / counts.sum(), 1e-12, None)
    return float(-(frequencies * np.log(frequencies)).sum()) or 1.0
