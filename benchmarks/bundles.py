"""Networks of a bundle against the same networks one after the other.

`python -m benchmarks.bundles` prints the cost and the gain of each case, from which the rule
`worth_bundling` of `workers/engine/structure.py` comes. One thread; processor time, so other work
on the machine matters little.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import tensorflow as tf

from trainstack.search.data.inputs import Inputs
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.bundle import Bundle
from trainstack.workers.engine.bundle_data import BundleData
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.epoch import EpochPlan
from trainstack.workers.engine.program import Program, rewrite_graphs
from trainstack.workers.engine.structure import Structure, shaping_items, worth_bundling
from trainstack.workers.engine.training import batch_order

OUTPUTS, NETWORKS, REPEATS = 10, 5, 5
# Steps of a run of the default length in classification.
STEPS = 4_000
NORMALIZED = {"activation": "relu", "normalization": "before", "optimizer": "adam"}
CASES = [
    (rows, features, Stack.of(units=units, batch_size=batch, **extra), compiled)
    for compiled in (False, True)
    for rows, features, units, batch in [
        *((1150, 64, [32, 32], 32), (1150, 64, [64, 64], 32), (1150, 64, [100, 50], 32)),
        *((1150, 64, [128, 128], 64), (1150, 64, [300, 100], 32), (4000, 20, [64, 64], 64)),
        *((4000, 20, [128, 128], 128), (4000, 20, [256, 256], 128)),
    ]
    for extra in ({}, NORMALIZED)
]


def timed(epoch: Callable[[int], object]) -> tuple[float, float]:
    """Return the seconds of a later epoch, after those that the first one takes beyond it."""
    seconds = []
    for number in range(1, REPEATS + 3):
        began = time.process_time()
        epoch(number)
        seconds.append(time.process_time() - began)
    usual = statistics.median(seconds[2:])
    return seconds[0] - usual, usual


def measured(
    rows: int, features: int, stack: Stack, compiled: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return `timed` of one network alone, and of NETWORKS with rows of their own at once."""
    rng, batch = np.random.default_rng(0), stack["batch_size"]
    x = rng.standard_normal((rows, features)).astype(np.float32)
    y = rng.integers(0, OUTPUTS, rows).astype(np.int32)
    valid = x[: rows // 4], y[: rows // 4]
    data = [DeviceData(*(tf.constant(part) for part in (x, y, *valid))) for _ in range(NETWORKS)]
    shape = Inputs(features), OUTPUTS, "classification", data[0].rows
    key = (shaping_items(stack), *shape, compiled)
    program, steps = Program(Structure(*key), stack), rows // batch
    rates = np.full(steps, 1e-3, np.float32)

    def plan(seed: int, epoch: int) -> EpochPlan:
        return EpochPlan(batch_order(seed, epoch, rows, steps, batch), rates, None, epoch)

    def alone(epoch: int) -> None:
        p = plan(0, epoch)
        program.epoch(stack, data[0], p.order, p.rates, p.momenta, p.key)

    program.reset(stack, 0)
    bundle, parts = Bundle(program, stack, NETWORKS), BundleData.of(data)
    for k in range(NETWORKS):
        bundle.load(k)
    together = timed(
        lambda epoch: bundle.epoch(
            [stack] * NETWORKS, parts, [plan(k, epoch) for k in range(NETWORKS)]
        )
    )
    return timed(alone), together


def main() -> None:
    """Measure every case and print it beside the rule."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rewrite_graphs(False)
    measured(*CASES[0])  # warm-up: the first program includes one-time costs
    print(
        " rows inputs units      batch norm   XLA   weights | first s: one, five | "
        "ms per epoch: one, each of five  gain  bundled"
    )
    for rows, features, stack, compiled in CASES:
        (first, one), (first_of_all, all_of_them) = measured(rows, features, stack, compiled)
        weights = sum(a * b for a, b in pairwise((features, *stack.units)))
        rule = "yes" if worth_bundling(stack, features, STEPS, NETWORKS, "cpu") else "no"
        print(
            f"{rows:5} {features:6} {'-'.join(map(str, stack.units)):10} "
            f"{stack['batch_size']:5} {stack['normalization']:6} {'yes' if compiled else 'no':4} "
            f"{weights:8} | {first:9.2f} {first_of_all:8.2f} | {1e3 * one:14.1f} "
            f"{1e3 * all_of_them / NETWORKS:13.1f} {NETWORKS * one / all_of_them:7.2f}  {rule}",
            flush=True,
        )


if __name__ == "__main__":
    main()
