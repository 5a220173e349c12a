"""Long-running trainers: the second trial of a structure, and memory over hundreds of trials."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import psutil

from benchmarks.table import Row
from trainstack.search.data.load import load
from trainstack.search.folds import SplitId
from trainstack.search.records import COUNTED, SEARCH, Measurement
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.messages import Job
from trainstack.workers.tasks.jobs import JobBench

FEW, MANY = 20, 300


def job(stack: Stack, place: int, epochs: int) -> Job:
    """Return a search trial's job."""
    return Job(str(place), SEARCH, stack, seed=place, splits=(SplitId(0),), epochs=epochs)


def warm_start() -> Row:
    """Measure the time from a job's receipt to its first step with an existing program."""
    bench = JobBench(StudySpec("warm", load("digits").describe(), {}), threads=1, artifacts=".")
    stack = Stack.of()
    bench.train(job(stack, 0, epochs=1), lambda m: None)
    began, first = time.perf_counter(), []

    def judge(measurement: Measurement) -> None:
        first.append(time.perf_counter() - began - measurement.seconds)

    bench.train(job(stack.but(optimizer__learning_rate=0.002), 1, epochs=1), judge)
    return Row(
        "second trial of a structure, from claim to first step",
        *(f"{first[0] * 1e3:.0f} ms", "", first[0], 0.1),
        least=False,
        unit="s",
    )


def memory_growth() -> Row:
    """Compare a trainer's memory after hundreds of different trials with that after a few.

    Each figure is the mean over ten trials, because memory varies from trial to trial. The worker
    is that of a `launch`, which may replace a trainer that has compiled much.
    """
    with tempfile.TemporaryDirectory() as folder:
        held = list(_watched(Path(folder)))
    few = fmean(resident for done, resident in held if FEW - 5 <= done < FEW + 5)
    many = fmean(resident for done, resident in held if done >= MANY - 10)
    most = max(resident for _, resident in held)
    return Row(
        f"resident memory of a trainer, after {MANY} trials against after {FEW}",
        f"{many / 2**20:.0f} MiB, never over {most / 2**20:.0f}",
        f"{few / 2**20:.0f} MiB",
        *(100 * (many / few - 1), 10.0),
        least=False,
        unit="%",
    )


def _watched(folder: Path) -> Iterator[tuple[int, int]]:
    """Yield the numbers of finished trials and of the trainer's bytes, repeatedly."""
    command = [sys.executable, "-m", "trainstack.search.cli"]
    asked = [f"--trials={MANY}", "--epochs=2", "--workers=1", "--replicates=0"]
    how = ["--sampler=random", "--pruner=none", "--study=m"]
    environment = {**os.environ, "TRAINSTACK_HOME": str(folder)}
    quiet = {"env": environment, "stderr": subprocess.DEVNULL, "text": True}
    launch = subprocess.Popen(
        [*command, "launch", "digits", *asked, *how], stdout=subprocess.DEVNULL, **quiet
    )
    while launch.poll() is None:
        status = subprocess.run(
            [*command, "status", "m", "--json"], stdout=subprocess.PIPE, check=False, **quiet
        )
        if status.returncode == 0:
            counts = json.loads(status.stdout)["counts"]
            done = sum(counts[outcome] for outcome in COUNTED)
            if resident := _trainer_bytes(launch.pid):
                yield done, resident
        time.sleep(0.2)


def _trainer_bytes(launch: int) -> int:
    """Return the resident memory of a launch's trainer; 0 if there is none."""
    sizes = [0]
    for process in psutil.Process(launch).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any("spawn_main" in argument for argument in process.cmdline()):
                sizes.append(process.memory_info().rss)
    return max(sizes)
