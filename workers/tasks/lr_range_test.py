"""Learning-rate range tests: `python -m trainstack.workers.tasks.lr_range_test`.

The request is read from standard input; the findings are written to standard output.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from trainstack.search.folds import search_splits
from trainstack.search.lr_range_test import RangeTest, read_range
from trainstack.search.spec import StudySpec
from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.stack import Stack
from trainstack.workers.tasks.requests import serve

# Sweep: number of rates, and the factor that widens the optimizer's usual range on both sides.
POINTS, WIDENED = 60, 30.0
# Steps at each rate of the sweep, and the multiple of them in each try of the chapter's descent.
SWEEP_STEPS, DESCENT_TIMES = 5, 12
# The descent starts at the sweep's highest rate and gives up after this many divisions by three.
MOST_THIRDS = 12


def tests(request: Any) -> Iterator[dict[str, Any]]:
    """Answer `{"spec": …, "optimizers": […], "threads": n}` with one range test per optimizer."""
    from trainstack.workers.engine.bench import Bench

    spec = StudySpec.from_json(request["spec"])
    bench = Bench(spec, request["threads"], ".")
    for name in request["optimizers"]:
        yield dataclasses.asdict(range_test(bench, name, spec.seed))


def range_test(bench: Any, optimizer: str, seed: int) -> RangeTest:
    """Sweep an optimizer's learning rates on the study's data, with the chapter's default stack.

    Smith's sweep: one run whose rate rises geometrically, a few steps at each, until it diverges.
    The chapter's descent: fresh weights at a high rate, divided by three until the loss stays
    below the trivial predictor's.
    """
    from trainstack.workers.tasks.metrics import Scorer
    from trainstack.workers.tasks.trivial_predictor import TrivialPredictor

    stack = Stack.of(optimizer=optimizer, schedule="constant")
    split, data = bench.split(search_splits(bench.spec)[0])
    program, _ = bench.program(stack, data, epochs=1)
    low, high = OPTIMIZERS[optimizer].usual
    rates = np.geomspace(low / WIDENED, high * WIDENED, POINTS)
    trivial = TrivialPredictor(Scorer.of(bench.spec, split)).figures("valid")["loss"]
    rows, batch = data.rows[0], stack["batch_size"]
    rng = np.random.default_rng([seed, 3])

    def steps(rate: float, key: int) -> float:
        order = rng.integers(0, rows, (SWEEP_STEPS, min(batch, rows))).astype(np.int32)
        constant = np.full(SWEEP_STEPS, rate, np.float32)
        result = program.epoch(stack, data, order, constant, None, key)
        return max(result.train_loss, result.valid_loss)

    program.reset(stack, seed, data)
    tried: list[float] = []
    losses: list[float] = []
    for key, rate in enumerate(rates):
        tried.append(float(rate))
        losses.append(steps(rate, key))
        if not math.isfinite(losses[-1]) or losses[-1] > 10 * max(trivial, min(losses)):
            break
    stable = None
    for third in range(MOST_THIRDS):
        rate = float(rates[-1]) / 3**third
        program.reset(stack, seed, data)
        found = [steps(rate, DESCENT_TIMES * third + k) for k in range(DESCENT_TIMES)]
        if all(map(math.isfinite, found)) and found[-1] < trivial:
            stable = rate
            break
    finite = [loss if math.isfinite(loss) else float("inf") for loss in losses]
    return read_range(optimizer, tried, finite, stable)


if __name__ == "__main__":
    raise SystemExit(serve(tests))
