"""Training a stack on all rows that are not for testing, for the exported model."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.payloads import Refit
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.training import batch_order, epoch_key

if TYPE_CHECKING:
    from trainstack.workers.engine.bench import Bench

log = logging.getLogger("trainstack.trainer")


def refitted(bench: Bench, stack: Stack, asked: Refit) -> tuple[Program, Any] | None:
    """Train a stack without validation, as long as the confirmation found best.

    A planned schedule runs as in the plan up to that epoch; performance scheduling lowers its rate
    after the same epochs as in the confirmation.

    Args:
        bench: The bench.
        stack: The stack.
        asked: Length and seed of the training.

    Returns:
        The program with the trained weights, and the split; None if the training diverged.
    """
    split, data = bench.split(None, stack)
    rows = data.rows[0]
    batch = min(stack["batch_size"], rows)
    steps = rows // batch
    program, _ = bench.program(stack, data, bench.spec.epochs)
    bench.start(program, stack, asked.seed, data, bench.spec.epochs)
    maker = RateMaker(stack, steps, stack.planned_epochs(bench.spec.epochs))
    for epoch in range(1, asked.epochs + 1):
        order = batch_order(asked.seed, epoch, rows, steps, batch)
        plan = maker.plan(epoch, order, epoch_key(asked.seed, epoch))
        result = program.epoch(stack, data, *plan.arguments)
        bench.progressed()
        if not np.isfinite(result.train_loss):
            log.warning("training on all rows diverged in epoch %d", epoch)
            return None
        if epoch in asked.lowered_after:
            maker.lower()
    program.settle()
    return program, split
