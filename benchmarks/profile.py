"""`python -m benchmarks.profile`: measure the parts of a compiled step.

It profiles a step of 300-100 and one of five layers of 512 on Fashion-MNIST with TensorFlow's
profiler, on one thread. Parts have XLA's names: `MatMul` is a product, the others are loops over
weights, activations or the batch. (With more threads parts run in parallel, and the profiler
records only their start.)
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks.engine import Subject
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.training import batch_order

STEPS, PARTS = 300, 60
CASES = [
    *(Stack.of(units=[300, 100], batch_size=batch) for batch in (32, 128, 512)),
    Stack.of(units=[512] * 5, batch_size=32, optimizer="adamw", clipping="norm"),
]


def spent(folder: Path) -> dict[str, tuple[int, float]]:
    """Read a trace: name of each event → its count and total seconds."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(next(folder.rglob("*.xplane.pb")).read_bytes())
    found: dict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for plane in space.planes:
        names = {number: kind.name for number, kind in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                times, total = found[names[event.metadata_id]]
                found[names[event.metadata_id]] = times + 1, total + event.duration_ps * 1e-12
    return found


def main() -> None:
    """Print the parts of each case's step, slowest first."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    fashion = Subject("fashion-mnist")
    for stack in CASES:
        program = fashion.program(stack, 100, xla=True)
        program.reset(stack, 0)
        batch = stack["batch_size"]
        order = batch_order(0, 1, fashion.rows, fashion.rows // batch, batch)
        rates = RateMaker(stack, STEPS, 2).rates(1)
        epoch = (stack, fashion.data, np.resize(order, (STEPS, batch)), rates, None, 1)
        program.epoch(*epoch)
        with tempfile.TemporaryDirectory() as folder:
            level = tf.profiler.experimental.ProfilerOptions(3, python_tracer_level=0)
            tf.profiler.experimental.start(folder, options=level)
            program.epoch(*epoch)
            tf.profiler.experimental.stop()
            found = spent(Path(folder))
        # Events that occur once per step; the rest is the validation pass and overhead.
        parts = {
            name: 1e6 * total / STEPS
            for name, (times, total) in found.items()
            if times in (STEPS, STEPS + 1) and "::" not in name and not name.startswith("end: ")
        }
        products = sum(time for name, time in parts.items() if name.startswith("MatMul"))
        passes = sum(parts.values()) - products
        print(
            f"\n{'-'.join(map(str, stack.units))}, {stack['optimizer']}, batch {batch}: "
            f"products {products:.0f} µs per step, all else {passes:.0f} µs"
        )
        for name in sorted(parts, key=lambda name: -parts[name])[:PARTS]:
            print(f"  {parts[name]:7.1f} µs  {name}", flush=True)


if __name__ == "__main__":
    main()
