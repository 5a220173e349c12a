"""Several networks of one structure against the same networks one after the other.

Folds of a trial against one split, learning-rate tuning, and the memory of a bundle. One thread.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np
import psutil
import tensorflow as tf

from benchmarks.engine import usual_seconds
from benchmarks.table import Row
from trainstack.search.data.load import load
from trainstack.search.evidence.planned_run import confirmation_seed
from trainstack.search.folds import confirmation_split, search_splits
from trainstack.search.records import CONFIRMATION, SEARCH, Measurement
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.program_cache import Programs
from trainstack.workers.messages import Job
from trainstack.workers.tasks.jobs import JobBench

FOLDS, EPOCHS, NETWORKS = 5, 30, 8
# A short search, and one of the default length.
TRIALS = (24, 40)
# Which stacks a search draws, and how long they train, differs much between studies.
STUDY_SEEDS = (0, 1, 2)
RATES, SEEDS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1), 3
SMALL, LARGE = Stack.of(units=[64, 64]), Stack.of(units=[300, 100])
# Greatest ratios of the time of five folds to that of one split, by data set.
BARS = {"digits": 2.5, "5,000 rows": 4.0}


class Continue:
    """A monitor that lets every trial go on."""

    def tell(self, job: Job, measurement: Measurement) -> None:
        """Go on."""

    def after_first_folds(self, job: Job, values: Sequence[float]) -> None:
        """Go on."""

    def alive(self, job: Job) -> None:
        """Go on."""


def table(folder: str) -> str:
    """Write 5,000 rows of 20 features and three classes; return the file."""
    from sklearn.datasets import make_classification

    x, y = make_classification(
        5_000, 20, n_informative=10, n_classes=3, n_clusters_per_class=3, random_state=0
    )
    path = f"{folder}/table.npz"
    np.savez(path, x_train=x.astype(np.float32), y_train=y)
    return path


def bench_of(spec: StudySpec) -> JobBench:
    """Return a bench of one thread; TensorFlow takes the number of threads once per process."""
    threads = 1 if tf.config.threading.get_intra_op_parallelism_threads() == 0 else 0
    return JobBench(spec, threads, ".")


def trial_seconds(source: str, stack: Stack, folds: int) -> float:
    """Return the seconds of a whole trial, tracing and compiling included."""
    spec = StudySpec("s", load(source, None, "auto").describe(), {}, folds=folds)
    splits = search_splits(spec)
    job = Job("t", SEARCH, stack, 0, splits, EPOCHS, again=len(splits))
    bench = bench_of(spec)
    for split in splits:
        bench.split(split, stack)  # the data stays on the device between trials

    def train() -> None:
        bench.programs = Programs()
        if folds == 1:
            bench.train(job, lambda measurement: None)
        else:
            bench.train_folds(job, Continue())

    return usual_seconds(train)


def folds_against_one() -> list[Row]:
    """Measure five folds of one stack, none ended early, against one split."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, source in (("digits", "digits"), ("5,000 rows", table(folder))):
            for stack in (SMALL, LARGE):
                one, five = (trial_seconds(source, stack, k) for k in (1, FOLDS))
                widths = "-".join(map(str, stack.units))
                rows.append(
                    Row(
                        f"5 folds of {widths}, {name}, {EPOCHS} epochs, none ended early",
                        *(f"{five:.2f} s", f"one split: {one:.2f} s", five / one, BARS[name]),
                        least=False,
                    )
                )
    return rows


def searches_on_folds() -> list[Row]:
    """Measure the seconds per trial of a search on five folds against one split."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, source in (("digits", "digits"), ("5,000 rows", table(folder))):
            for trials in TRIALS:
                one, five = (
                    fmean(search_seconds(source, trials, folds, seed) for seed in STUDY_SEEDS)
                    for folds in (1, FOLDS)
                )
                what = f"{name}, {len(STUDY_SEEDS)} × {trials} trials"
                rows.append(
                    Row(
                        f"a trial of a search on 5 folds, {what}",
                        *(f"{five:.2f} s", f"one split: {one:.2f} s", five / one, BARS[name]),
                        least=False,
                    )
                )
    return rows


def search_seconds(source: str, trials: int, folds: int, seed: int) -> float:
    """Return the mean seconds of a trial of a launch, from its records."""
    command = [sys.executable, "-m", "trainstack.search.cli"]
    asked = [f"--trials={trials}", f"--epochs={EPOCHS}", f"--folds={folds}", f"--seed={seed}"]
    with tempfile.TemporaryDirectory() as home:
        how: Any = {"env": {**os.environ, "TRAINSTACK_HOME": home}, "text": True}
        launch = [*command, "launch", source, "--study=s", *asked]
        launch += ["--workers=2", "--replicates=0"]
        # Without a confirmation there is nothing to recommend, and the exit status is not 0.
        subprocess.run(launch, capture_output=True, check=False, **how)
        listed = [*command, "trials", "s", "--json"]
        found = subprocess.run(listed, stdout=subprocess.PIPE, check=True, **how).stdout
    return fmean(row["seconds"]["total"] for row in json.loads(found))


def rate_tuning() -> Row:
    """Measure six learning rates with three seeds each, in bundles and one after the other."""
    spec = StudySpec("s", load("digits", None, "auto").describe(), {})
    bench = bench_of(spec)
    jobs = [
        Job(
            *(f"{rate} {index}", CONFIRMATION, SMALL.but(optimizer__learning_rate=rate)),
            *(confirmation_seed(0, index), (confirmation_split(spec, index),), EPOCHS),
            again=SEEDS * len(RATES),
        )
        for rate in RATES
        for index in range(SEEDS)
    ]

    def together() -> None:
        bench.programs = Programs()
        most = bench.room(jobs[0]) + 1
        for start in range(0, len(jobs), most):
            bench.train_bundle(jobs[start : start + most], lambda job, measurement: None)

    def in_turn() -> None:
        bench.programs = Programs()
        for job in jobs:
            bench.train(job, lambda measurement: None)

    one, other = usual_seconds(together), usual_seconds(in_turn)
    return Row(
        f"{len(RATES)} learning rates × {SEEDS} seeds of 64-64 on digits",
        *(f"{one:.2f} s", f"one run after another: {other:.2f} s", other / one, 3.0),
    )


def bundle_memory() -> Row:
    """Compare what a bundle of eight networks keeps resident with eight programs."""
    sizes = [_resident(kind) for kind in ("nothing", "bundle", "programs")]
    base, bundle, programs = sizes
    ours, theirs = ((size - base) / 2**20 for size in (bundle, programs))
    return Row(
        f"memory of {NETWORKS} networks of 64-64 in a bundle",
        *(f"{ours:.0f} MiB", f"{NETWORKS} programs: {theirs:.0f} MiB", ours / theirs, 0.5),
        least=False,
    )


def _resident(kind: str) -> int:
    """Return the resident bytes of a process that has trained an epoch of the networks."""
    command = [sys.executable, "-m", "benchmarks.together", kind]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


def _hold(kind: str) -> None:
    """Train an epoch of nothing, a bundle, or as many programs; print the resident bytes."""
    spec = StudySpec("s", load("digits", None, "auto").describe(), {})
    bench = bench_of(spec)
    held: list[Any] = []
    jobs = [
        Job(str(k), CONFIRMATION, SMALL, k, (confirmation_split(spec, 0),), 1, again=99)
        for k in range(NETWORKS)
    ]
    bench.split(jobs[0].split, SMALL)
    if kind == "bundle":
        bench.train_bundle(jobs, lambda job, measurement: None)
    elif kind == "programs":
        for job in jobs:
            bench.train(job, lambda measurement: None)
            held.append(bench.programs)
            bench.programs = Programs()
    print(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    _hold(sys.argv[1])
