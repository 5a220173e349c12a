"""Training a stack on all rows that are not for testing, for the exported model."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.artifact_names import folder_of
from trainstack.search.payloads import Refit
from trainstack.search.records import REFIT, Outcome, Result
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.epoch import EpochPlan
from trainstack.workers.engine.kept_weights import read_weights, write_weights
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.training import batch_order, epoch_key
from trainstack.workers.messages import Job

if TYPE_CHECKING:
    from trainstack.workers.engine.bench import Bench

log = logging.getLogger("trainstack.trainer")


def keep_refit(bench: Bench, job: Job) -> Result:
    """Train a job's network and write its weights where `kept_refit` finds them.

    One that the measurement has begun is not trained. A failed write does not matter: the
    measurement trains the network again.
    """
    began = time.perf_counter()
    assert job.stack is not None
    assert job.refit is not None
    name = _name(bench, job.stack.stack_id, job.refit)
    if read_weights(bench.artifacts, name) is not None:
        return Result(Outcome.COMPLETED)
    found = next(refitted(bench, job.stack, [job.refit]))
    if found is not None:
        write_weights(bench.artifacts, name, found[0].weights())
    outcome = Outcome.DIVERGED if found is None else Outcome.COMPLETED
    seconds = {"total": time.perf_counter() - began}
    return Result(outcome, artifacts={"weights": name}, seconds=seconds)


def kept_refit(bench: Bench, stack: Stack, refit: Refit) -> tuple[Program, Any] | None:
    """Return a network that another worker has trained and kept, as `refitted` does.

    Returns:
        The program and the split. None if the network is not kept here; it is then marked as
        begun, so that others leave it out.
    """
    name = _name(bench, stack.stack_id, refit)
    weights = read_weights(bench.artifacts, name)
    if not weights:
        write_weights(bench.artifacts, name, [])
        return None
    split, data = bench.split(None, stack)
    program, _ = bench.program(stack, data, bench.spec.epochs)
    program.reset(stack, refit.seed, data)
    program.set_weights(weights)
    return program, split


def forget_refit(bench: Bench, stack_id: str, refit: Refit) -> None:
    """Remove what is kept of a network."""
    with contextlib.suppress(OSError):
        bench.artifacts.remove(_name(bench, stack_id, refit))


def _name(bench: Bench, stack_id: str, refit: Refit) -> str:
    """Return the name in the artifact store of a network's weights.

    It tells the data apart, as a deleted study's name may be used again.
    """
    parts = bench.spec.data.fingerprint, stack_id, refit.seed, refit.epochs
    name = "-".join(str(part) for part in (*parts, *refit.lowered_after))
    return f"{folder_of(bench.spec.study)}/{REFIT}/{name}.npz"


def refitted(
    bench: Bench, stack: Stack, asked: Sequence[Refit], runs: int = 1
) -> Iterator[tuple[Program, Any] | None]:
    """Train networks of a stack without validation, as long as the confirmation found best.

    A planned schedule runs as in the plan up to that epoch; performance scheduling lowers its rate
    after the same epochs as in the confirmation. Networks are trained together where that pays.

    Args:
        bench: The bench.
        stack: The stack.
        asked: Length and seed of each network's training.
        runs: Number of networks of the stack that are trained here, now and later.

    Yields:
        For each network the program, which holds its weights until the next one, and the split;
        None if the training diverged.
    """
    split, data = bench.split(None, stack)
    runs = max(runs, len(asked))
    most = bench.most_networks(stack, data, bench.spec.epochs, len(asked))
    for start in range(0, len(asked), most):
        group = asked[start : start + most]
        program, _ = bench.program(stack, data, bench.spec.epochs, runs)
        if isinstance(data, DeviceData) and len(group) > 1:
            trained = _together(bench, stack, group, program, data)
        else:
            trained = [_alone(bench, stack, group[0], program, data)]
        for weights in trained:
            if weights is None:
                yield None
                continue
            program.use(data)
            program.set_weights(weights)
            yield program, split


def _alone(
    bench: Bench, stack: Stack, refit: Refit, program: Program, data: DeviceData | StreamedData
) -> list[np.ndarray] | None:
    """Return the weights of one network, or None if its training diverged."""
    bench.start(program, stack, refit.seed, data, bench.spec.epochs)
    for plan in _plans(bench, program.completed(stack), refit, data.rows[0]):
        result = program.epoch(stack, data, *plan.arguments)
        bench.progressed()
        if not np.isfinite(result.train_loss):
            log.warning("training on all rows diverged")
            return None
    return program.measured()


def _together(
    bench: Bench, stack: Stack, refits: Sequence[Refit], program: Program, data: DeviceData
) -> list[list[np.ndarray] | None]:
    """Return the weights of networks that are trained at once; None for one that diverged."""
    bundle = bench.bundle(program, stack, len(refits), data, bench.spec.epochs)
    for place, refit in enumerate(refits):
        bench.start(program, stack, refit.seed, data, bench.spec.epochs)
        bundle.load(place)
    rows, parts = data.rows[0], bundle.joined([data] * len(refits))
    plans = [_plans(bench, program.completed(stack), refit, rows) for refit in refits]
    found: list[list[np.ndarray] | None] = [None] * len(refits)
    going = set(range(len(refits)))
    while going:
        epoch = [next(left, None) if k in going else None for k, left in enumerate(plans)]
        for place in [place for place in going if epoch[place] is None]:
            found[place] = bundle.measured(place)
            going.remove(place)
        if not going:
            break
        results = bundle.epoch([stack] * len(refits), parts, epoch)
        bench.progressed()
        for place in [p for p in going if not np.isfinite(results[p].train_loss)]:
            log.warning("training on all rows diverged")
            going.remove(place)
    return found


def _plans(bench: Bench, stack: Stack, refit: Refit, rows: int) -> Iterator[EpochPlan]:
    """Yield the plans of a training's epochs."""
    batch = min(stack["batch_size"], rows)
    steps = rows // batch
    maker = RateMaker(stack, steps, stack.planned_epochs(bench.spec.epochs))
    for epoch in range(1, refit.epochs + 1):
        order = batch_order(refit.seed, epoch, rows, steps, batch)
        yield maker.plan(epoch, order, epoch_key(refit.seed, epoch))
        if epoch in refit.lowered_after:
            maker.lower()
