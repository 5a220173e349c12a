"""`python -m benchmarks.products`: measure TensorFlow's rate for a step's matrix products.

Each product of a step of 784-300 runs in a compiled loop as long as an epoch, as in the engine. A
large product shows the machine's full rate. Rates are in GFLOP/s, by number of threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks.engine import seconds

INPUTS, WIDTH, ROWS, LARGE = 784, 300, 55_000, 4096
BATCHES, REPEATS = (32, 128, 512), 5


def rate(product: Callable[..., tf.Tensor], operands: tuple[tf.Tensor, ...], times: int) -> float:
    """Return the number of products per second in a compiled loop."""

    @tf.function(jit_compile=True, autograph=False)
    def loop(first: tf.Tensor, *others: tf.Tensor) -> tf.Tensor:
        def step(k: tf.Tensor, total: tf.Tensor, moving: tf.Tensor) -> tuple[tf.Tensor, ...]:
            # A changing operand, so that the product is not moved out of the loop.
            return k + 1, total + product(moving, *others)[0, 0], moving * 1.0000001

        return tf.while_loop(lambda k, *_: k < times, step, (0, 0.0, first))[1]

    loop(*operands).numpy()
    return times / min(seconds(lambda: loop(*operands).numpy()) for _ in range(REPEATS))


def measure(threads: int) -> None:
    """Print one line per batch size."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> tf.Tensor:
        return tf.constant(rng.standard_normal(shape).astype(np.float32) / 100)

    square = drawn(LARGE, LARGE)
    tf.matmul(square, square).numpy()
    began = time.perf_counter()
    tf.matmul(square, square).numpy()
    most = 2 * LARGE**3 / (time.perf_counter() - began) / 1e9
    kernel = drawn(INPUTS, WIDTH)
    for batch in BATCHES:
        x, d, times = drawn(batch, INPUTS), drawn(batch, WIDTH), ROWS // batch
        work = 2 * batch * INPUTS * WIDTH / 1e9
        found = (
            work * rate(tf.matmul, (x, kernel), times),
            work * rate(lambda a, b: tf.matmul(a, b, transpose_a=True), (x, d), times),
            work * rate(lambda a, b: tf.matmul(a, b, transpose_b=True), (d, kernel), times),
        )
        cells = " | ".join(f"{value:4.0f}" for value in (*found, most))
        print(f"| {threads} | {batch:4} | {cells} |", flush=True)


def main() -> None:
    """Measure with one thread and with two, each in its own process."""
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
        return
    print("| threads | batch | x W | xᵀ d | d Wᵀ | large |", flush=True)
    for threads in ("1", "2"):
        subprocess.run([sys.executable, "-m", "benchmarks.products", threads], check=True)


if __name__ == "__main__":
    main()
