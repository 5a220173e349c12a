"""`python -m benchmarks.compiling`: measure XLA's costs and savings against the engine's rule.

Each row is one structure: the additional cost of its first call with XLA, the saving per step, and
the number of steps from which compiling pays; measured, and by the rule. Times are the processor
time of one thread, which other work on the machine disturbs least.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from trainstack.search.data.inputs import Inputs
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import (
    Structure,
    compiling_seconds,
    saved_seconds_a_step,
    shaping_items,
)
from trainstack.workers.engine.training import batch_order

OUTPUTS, ROWS = 10, 4096
STEPS, REPEATS = 30, 5
CASES = [
    (features, Stack.of(units=[width] * layers, batch_size=batch, **extra))
    for features, layers, width, batch in [
        *((64, 1, 64, 32), (64, 1, 300, 32), (64, 2, 64, 32), (64, 2, 64, 128), (64, 2, 300, 32)),
        *((64, 2, 300, 128), (64, 3, 100, 32), (64, 5, 100, 32), (64, 5, 300, 128)),
        *((64, 10, 100, 32), (64, 20, 100, 32), (64, 20, 100, 128), (64, 60, 100, 128)),
        *((784, 1, 100, 32), (784, 2, 300, 32), (784, 2, 300, 128), (784, 2, 300, 512)),
        *((784, 3, 128, 64), (784, 2, 1024, 128), (784, 20, 100, 128)),
    ]
    for extra in ({}, {"activation": "relu", "normalization": "before", "optimizer": "adam"})
]


def measured(features: int, stack: Stack, compiled: bool) -> tuple[float, float]:
    """Return the seconds of the first call with one step, and of a step in steady state."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, features)).astype(np.float32)
    y = rng.integers(0, OUTPUTS, ROWS).astype(np.int32)
    data = DeviceData(*(tf.constant(part) for part in (x, y, x[:256], y[:256])))
    batch = stack["batch_size"]

    def run(program: Program, steps: int) -> float:
        order = batch_order(0, 1, ROWS, steps, batch)
        rates = np.full(steps, 1e-3, np.float32)
        began = time.process_time()
        program.epoch(stack, data, order, rates, None, 1)
        return time.process_time() - began

    began = time.process_time()
    structure = Structure(
        *(shaping_items(stack), Inputs(features), OUTPUTS, "classification", data.rows, compiled)
    )
    program = Program(structure, stack)
    program.reset(stack, 0)
    run(program, STEPS)
    first = time.process_time() - began
    steps = statistics.median(run(program, STEPS) for _ in range(REPEATS))
    return first - steps, steps / STEPS


def main() -> None:
    """Measure every case and print it beside the rule's figures."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    measured(*CASES[0], True)  # warm-up: the first program includes one-time costs
    measured(*CASES[0], False)
    print("input layers width batch norm   | cost s  rule | saves ms  rule | pays from  rule")
    for features, stack in CASES:
        plain_first, plain_step = measured(features, stack, False)
        first, step = measured(features, stack, True)
        cost, saved = first - plain_first, plain_step - step
        expected_cost, expected = compiling_seconds(stack), saved_seconds_a_step(stack, features)
        print(
            f"{features:5} {len(stack.units):6} {stack.units[0]:5} {stack['batch_size']:5} "
            f"{stack['normalization']:6} | {cost:6.2f} {expected_cost:5.2f} | "
            f"{1e3 * saved:8.3f} {1e3 * expected:5.3f} | "
            f"{cost / saved if saved > 0 else float('inf'):9.0f} {expected_cost / expected:5.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
