"""Five seeds of one stack as `launch` confirms it here: trainers of one thread share the seeds."""

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
# What a trainer's process has: its data, and where it waits for the others.
_here: dict[str, Any] = {}


def _trainer(all_here: Barrier) -> None:
    """Become a trainer that has its data."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rewrite_graphs(False)
    _here.update(subject=Subject("digits"), all_here=all_here)


def _wait(place: int) -> None:
    """Wait for the other trainers: each answers one of these."""
    _here["all_here"].wait()


def _confirm(seeds: Sequence[int]) -> None:
    subject: Subject = _here["subject"]
    program = subject.program(STACK, EPOCHS, runs=len(seeds))
    for seed in seeds:
        subject.train(program, STACK, EPOCHS, seed)


def confirmation() -> Row:
    """Five seeds on digits, building included; starting a trainer is not, on either side.

    The median of three: each builds anew, as in a launch trainers that have searched do.
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
