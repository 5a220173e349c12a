"""What a trainer's life looks like: the second trial of a structure, and memory after hundreds."""

from __future__ import annotations

import time

import optuna
import psutil

from benchmarks.engine import Subject
from benchmarks.table import Row
from search.data.load import load
from search.records import SEARCH
from search.spec import StudySpec
from spaces.space import Space
from spaces.stack import Stack
from workers.bench import Bench
from workers.messages import Job

FEW, MANY = 20, 300


def job(stack: Stack, place: int, epochs: int) -> Job:
    """Return a search trial's job."""
    return Job(str(place), SEARCH, stack, seed=place, split_seed=0, epochs=epochs)


def warm_start(digits: Subject) -> Row:
    """From job to first step where the program is there already."""
    stack = Stack.of()
    program = digits.program(stack, 30)
    digits.train(program, stack, 2)
    began = time.perf_counter()
    other = stack.but(optimizer__learning_rate=0.002)
    program.reset(other, 1)
    seconds = time.perf_counter() - began
    return Row(
        "second trial of a structure, from claim to first step",
        *(f"{seconds * 1e3:.0f} ms", "", seconds, 0.1),
        least=False,
        unit="s",
    )


def memory_growth() -> Row:
    """Resident memory after many different trials against after a few."""
    spec = StudySpec("memory", load("digits").describe(), {})
    bench = Bench(spec, threads=1, artifacts=".")
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
