"""The trainer's bench: device, data and compiled programs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import tensorflow as tf

from trainstack.search.artifacts import open_store
from trainstack.search.conditions import PLAIN, Condition
from trainstack.search.data.channels import by_channel
from trainstack.search.data.sharing import obtain
from trainstack.search.data.splitting import LOG, NONE
from trainstack.search.data.weighting import scaled_for_counts, weighted
from trainstack.search.database.connection import artifacts as artifact_place
from trainstack.search.database.connection import home
from trainstack.search.folds import SplitId
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError
from trainstack.spaces.stack import Stack
from trainstack.workers.engine import conditions
from trainstack.workers.engine.bundle import Bundle
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.fit_program import FitProgram
from trainstack.workers.engine.independent import independent_members
from trainstack.workers.engine.kept_weights import read_weights
from trainstack.workers.engine.keras_settings import set_keras
from trainstack.workers.engine.losses import untrained_loss
from trainstack.workers.engine.memory import limit_memory
from trainstack.workers.engine.model_plan import first_width
from trainstack.workers.engine.objective import Objective, reads_answers
from trainstack.workers.engine.precision import check_precision
from trainstack.workers.engine.pretraining import pretrain
from trainstack.workers.engine.program import Program, rewrite_graphs
from trainstack.workers.engine.program_cache import Programs
from trainstack.workers.engine.saved_block import hold
from trainstack.workers.engine.saved_layers import saved_layers, take_over
from trainstack.workers.engine.streaming import StreamedData, put, resident_bytes
from trainstack.workers.engine.structure import (
    Structure,
    shaping_items,
    worth_bundling,
    worth_compiling,
    worth_compiling_bundle,
)
from trainstack.workers.engine.training import Training
from trainstack.workers.messages import Kept

log = logging.getLogger("trainstack.trainer")

# Networks that are trained at once, at most.
MOST_NETWORKS = {"cpu": 32, "gpu": 64}
# Splits kept on the device, at least: a confirmation trains every candidate on the same few.
MOST_SPLITS = 8


def work_of(stack: Stack, data: DeviceData | StreamedData, epochs: int) -> tuple[int, int]:
    """Return the first layer's inputs, and the steps of a run that does not end early."""
    steps = stack.planned_epochs(epochs) * max(1, data.rows[0] // stack["batch_size"])
    return first_width(stack, data.layout), steps


class Bench:
    """Device, data and compiled programs, which the trainer keeps between jobs.

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
        for _, saved in spec.network.files if spec.network else ():
            hold(saved, self.artifacts)
        self.programs = Programs()
        # Called after each epoch that no judge sees; the trainer reports that it is alive.
        self.progressed: Callable[[], None] = lambda: None
        self.fits_bytes = resident_bytes(self.device, threads, memory_mb)
        self.most_splits = max(MOST_SPLITS, self.spec.folds * self.spec.repeats)
        self._folds: tuple[int, list[dict[str, np.ndarray]]] | None = None
        self._splits: dict[Any, tuple[Any, DeviceData | StreamedData]] = {}

    def split(
        self, which: SplitId | None, stack: Stack, condition: Condition = PLAIN
    ) -> tuple[Any, DeviceData | StreamedData]:
        """Return a split as a stack prepares it, under a condition; and its parts on the device.

        Without a split it is `Dataset.whole`.
        """
        if which is not None and self.dataset.division.is_fixed:
            which = replace(which, seed=0)  # every seed gives the same
        preparation = stack["preparation"], stack.get("categories.levels")
        key = which, preparation, replace(condition, initializer="", pretrained="")
        if key not in self._splits:
            classes = len(self.spec.data.classes)
            split = self._encoded(which)
            if self.spec.network is None:
                split = split.prepared_by(*preparation)
            else:
                split = by_channel(split, [shape for _, shape in self.spec.network.inputs])
            split = conditions.changed(split, condition, classes, which.seed if which else 0)
            data = put(split, self.fits_bytes // self.most_splits, DeviceData)
            if which is not None and which.fold is not None and isinstance(data, DeviceData):
                data = self._evened(data, which.seed)
            while len(self._splits) >= self.most_splits:
                del self._splits[next(iter(self._splits))]
            self._splits[key] = split, data
        return self._splits[key]

    def valid_rows(self, which: SplitId) -> np.ndarray:
        """Return the positions of the rows of a split's validation part, in their order.

        They are positions in `Dataset.x`, or in the given validation part.
        """
        if "valid" in self.dataset.parts:
            return np.arange(len(self.dataset.parts["valid"].y))
        if which.fold is None:
            return self.dataset.division.positions(which.seed)["valid"]
        return self._division(which.seed)[which.fold]["valid"]

    def _encoded(self, which: SplitId | None) -> Any:
        """Return a split with weights; its arrays are those of another preparation that is kept."""
        for (kept, _, condition), (split, _) in self._splits.items():
            if kept == which and not condition:
                return split
        return self._weighted(self._rows(which))

    def _weighted(self, split: Any) -> Any:
        """Return a split with the weights of rows and classes, scaled as the loss needs it."""
        split = weighted(split, self.spec.class_weight, self.spec.data.classes)
        return scaled_for_counts(split) if self.spec.trained_on.logarithmic else split

    def _rows(self, which: SplitId | None) -> Any:
        if which is None:
            return self.dataset.whole()
        if which.fold is None:
            return self.dataset.split(which.seed)
        return self.dataset.fold(self._division(which.seed)[which.fold])

    def _division(self, seed: int) -> list[dict[str, np.ndarray]]:
        """Return the positions of all folds of a division; the last one used is kept."""
        if self._folds is None or self._folds[0] != seed:
            repeats = self.spec.repeats if seed == self.spec.seed else 1  # as `search_splits` asks
            self._folds = seed, self.dataset.division.folds(self.spec.folds, repeats, seed)
        return self._folds[1]

    def _evened(self, data: DeviceData, seed: int) -> DeviceData:
        """Return a fold with parts as long as the longest ones of its division.

        All its folds have parts of these lengths, so that one program serves them.
        """
        each = self._division(seed)
        lengths = {(len(rows["train"]), len(rows["valid"])) for rows in each}
        return data if len(lengths) == 1 else data.padded(*map(max, zip(*lengths, strict=True)))

    def program(
        self,
        stack: Stack,
        data: DeviceData | StreamedData,
        epochs: int,
        runs: int = 1,
        outputs: int = 0,
        task: str = "",
    ) -> tuple[Program, float]:
        """Return the stack's program, ready for `reset`, and the seconds spent on building it.

        Its head has the width `outputs` and its loss is that of `task`; both default to the data's.
        """
        began = time.perf_counter()
        width, steps = work_of(stack, data, epochs)
        own = not task or task == self.spec.data.task
        network = self.spec.network
        by_fit = network is not None and bool(network.fit)
        structure = Structure(
            stack=stack.items if by_fit else shaping_items(stack),
            inputs=data.layout,
            outputs=outputs or self.spec.data.outputs,
            task=task or self.spec.data.task,
            rows=data.lengths,
            # What XLA saves is measured for dense layers only.
            compiled=network is None and worth_compiling(stack, width, steps, runs),
            precision=self.spec.precision,
            transform=NONE if data.inverse is None else LOG,
            loss=self.spec.trained_on.name if own else "",
            answers=own and reads_answers(self.spec),
            network=network,
        )
        kind = FitProgram if by_fit else Program
        program, _ = self.programs.get(structure, lambda: kind(structure, stack))
        program.use(data)
        return program, time.perf_counter() - began

    def start(
        self,
        program: Program,
        stack: Stack,
        seed: int,
        data: DeviceData | StreamedData,
        epochs: int,
        initializer: str = "",
    ) -> None:
        """Reset a program for a run of at most `epochs`, with its pretrained layers."""
        program.reset(stack, seed, data, initializer)
        if stack["pretraining"] == "reuse":
            take_over(program, stack, self.reused)
        pretrain(self.program, self.progressed, program, stack, seed, data, epochs)

    @cached_property
    def reused(self) -> list[np.ndarray]:
        """Weights of the hidden layers of the study's saved model, first to last."""
        reused = self.spec.reused
        if reused is None:
            raise RequestError("pretraining is 'reuse'", "a study launched with --reuse")
        return saved_layers(reused.content(self.artifacts), len(reused.units))

    def most_networks(
        self, stack: Stack, data: DeviceData | StreamedData, epochs: int, networks: int
    ) -> int:
        """Return how many of some networks of a stack to train at once.

        Networks on streamed data are trained one by one.

        Args:
            stack: Their stack.
            data: A split of the size of theirs.
            epochs: Maximum number of epochs.
            networks: Number of networks.
        """
        if not isinstance(data, DeviceData) or self.spec.network is not None:
            return 1
        width, steps = work_of(stack, data, epochs)
        if not worth_bundling(stack, width, steps, networks, self.device):
            return 1
        room = self.fits_bytes // self.most_splits // max(1, data.bytes)
        most = MOST_NETWORKS[self.device] // max(1, independent_members(stack))
        return max(1, min(most, room))

    def bundle(
        self,
        program: Program,
        stack: Stack,
        networks: int,
        data: DeviceData | StreamedData,
        epochs: int,
    ) -> Bundle:
        """Return a bundle of networks of a program's structure, new or used before.

        Args:
            program: The program, for `data`.
            stack: Their stack.
            networks: Number of networks.
            data: A split of the size of theirs.
            epochs: Maximum number of epochs.
        """
        width, steps = work_of(stack, data, epochs)
        compiled = worth_compiling_bundle(stack, width, steps, networks)
        structure = replace(program.structure, networks=networks, compiled=compiled)
        make = partial(Bundle, program, stack, networks, compiled)
        return self.programs.get(structure, make)[0]

    def weights(self, stack: Stack, run: Kept) -> tuple[Program, Any]:
        """Return a program holding a confirmation run's best weights, and its split.

        If the file is not accessible here, the run is trained again with the same seed and data.
        """
        split, data = self.split(run.split, stack)
        program, _ = self.program(stack, data, self.spec.epochs, self.spec.replicates)
        self.start(program, stack, run.seed, data, self.spec.epochs)
        if (kept := read_weights(self.artifacts, run.weights)) is not None:
            program.set_weights(kept)
        else:
            untrained = self.untrained_loss(split)
            objective = Objective.of(self.spec, split)
            training = Training(
                *(program, stack, run.seed, self.spec.epochs, untrained), objective=objective
            )
            training.run(data, lambda measurement: None)
        return program, split

    def untrained_loss(self, split: Any) -> float:
        """Return `untrained_loss` of a split for the study's loss."""
        return untrained_loss(split, self.spec.trained_on.name)

    @property
    def worn(self) -> bool:
        """True when a fresh trainer should take the next job."""
        return self.programs.worn

    @staticmethod
    def out_of_memory(error: Exception) -> bool:
        """Return whether the device or the machine ran out of memory."""
        return isinstance(error, MemoryError | tf.errors.ResourceExhaustedError)
