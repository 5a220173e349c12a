"""Five seeds of one stack, confirmed as by `launch`: single-threaded trainers share the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

import tensorflow as tf

from benchmarks.engine import Subject, seconds, usual_seconds
from benchmarks.plainkeras import fit
from benchmarks.table import Row
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.program import rewrite_graphs

STACK = Stack.of(units=[300, 100], schedule="constant", stopping="none")
EPOCHS, SEEDS, TRAINERS = 30, range(5), 2
# State of a trainer's process: its data, and the barrier at which it waits for the others.
_here: dict[str, Any] = {}


def _trainer(all_here: Barrier) -> None:
    """Initialize a trainer's process with its data."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rewrite_graphs(False)
    _here.update(subject=Subject("digits"), all_here=all_here)


def _wait(place: int) -> None:
    """Wait for the other trainers, so that each runs one of these calls."""
    _here["all_here"].wait()


def _confirm(seeds: Sequence[int]) -> None:
    subject: Subject = _here["subject"]
    program = subject.program(STACK, EPOCHS, runs=len(seeds))
    for seed in seeds:
        subject.train(program, STACK, EPOCHS, seed)


def confirmation() -> Row:
    """Measure five seeds on digits, including building but not the start of a trainer.

    The result is the median of three runs. Each builds its programs again, as trainers do in a
    launch after the search.
    """
    shares = [list(SEEDS)[place::TRAINERS] for place in range(TRAINERS)]
    context = get_context("spawn")
    all_here = context.Barrier(TRAINERS)
    with ProcessPoolExecutor(TRAINERS, context, _trainer, (all_here,)) as trainers:
        list(trainers.map(_wait, range(TRAINERS)))
        ours = usual_seconds(lambda: list(trainers.map(_confirm, shares)))
    arrays = Subject("digits").arrays
    theirs = seconds(lambda: [fit(STACK, arrays, 10, EPOCHS) for _ in SEEDS])
    return Row(
        f"{len(SEEDS)} seeds of 300-100, digits, {EPOCHS} epochs, {TRAINERS} trainers",
        f"{ours:.2f} s",
        f"five `fit`: {theirs:.1f} s",
        *(theirs / ours, 20.0),
    )
