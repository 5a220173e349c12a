"""What a trainer's life looks like: the second trial of a structure, and memory after hundreds."""

from __future__ import annotations

import time

import optuna
import psutil

from benchmarks.table import Row
from search.data.load import load
from search.records import SEARCH, Measurement
from search.spec import StudySpec
from spaces.space import Space
from spaces.stack import Stack
from workers.bench import Bench
from workers.messages import Job

FEW, MANY = 20, 300


def job(stack: Stack, place: int, epochs: int) -> Job:
    """Return a search trial's job."""
    return Job(str(place), SEARCH, stack, seed=place, split_seed=0, epochs=epochs)


def _bench() -> Bench:
    """Return a trainer's bench for digits."""
    return Bench(StudySpec("lasting", load("digits").describe(), {}), threads=1, artifacts=".")


def warm_start() -> Row:
    """From the trainer's receipt of a job to its first step, the program being there already."""
    bench = _bench()
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
    """Resident memory after many different trials against after a few."""
    bench = _bench()
    space = Space.named("chapter")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=5))
    process, resident = psutil.Process(), {}
    for place in range(1, MANY + 1):
        bench.train(job(space.draw(study.ask()), place, epochs=2), lambda m: None)
        if place in (FEW, MANY):
            resident[place] = process.memory_info().rss
    growth = 100 * (resident[MANY] / resident[FEW] - 1)
    return Row(
        f"resident memory after {MANY} trials against after {FEW}",
        f"{resident[MANY] / 2**20:.0f} MiB",
        f"{resident[FEW] / 2**20:.0f} MiB",
        *(growth, 10.0),
        least=False,
        unit="%",
    )
