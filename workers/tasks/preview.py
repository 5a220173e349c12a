"""Build stacks and train each for some steps: `python -m trainstack.workers.tasks.preview`.

The request is read from standard input.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from trainstack.search.folds import search_splits
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import TrainstackError
from trainstack.spaces.stack import Stack
from trainstack.workers.tasks.requests import serve

# Most steps that are timed. Epochs of more are estimated from two numbers of steps.
MOST_STEPS = 64


def tries(request: Any) -> Iterator[dict[str, Any]]:
    """Answer `{"spec", "stacks", "threads"}` with one document per stack, in their order."""
    from trainstack.workers.engine.bench import Bench

    bench = Bench(StudySpec.from_json(request["spec"]), request["threads"], ".")
    for document in request["stacks"]:
        yield try_out(bench, Stack.from_json(document))


def try_out(bench: Any, stack: Stack) -> dict[str, Any]:
    """Build a stack as a worker would and train it for some steps on the study's data.

    Returns:
        `build_seconds` (tracing and compiling included), `epoch_seconds` (with the validation
        pass) and `parameters`; or `cause`, if it cannot be built or trained.
    """
    began = time.perf_counter()
    try:
        _, data = bench.split(search_splits(bench.spec)[0], stack)
        program, _ = bench.program(stack, data, bench.spec.epochs)
        program.reset(stack, bench.spec.seed, data)
        built = time.perf_counter() - began
        rows, _ = data.rows
        whole = max(1, rows // min(stack["batch_size"], rows))
        steps = min(whole, MOST_STEPS)
        first, taken = _timed(program, stack, data, steps)
        epoch = taken
        if whole > steps:
            _, less = _timed(program, stack, data, steps // 4)
            epoch += (whole - steps) * max(0.0, taken - less) / (steps - steps // 4)
    except TrainstackError:
        raise
    except Exception as error:
        # Any error of Keras or TensorFlow is the reason why the stack cannot be trained here.
        message = (str(error).strip().splitlines() or [""])[0]
        return {"cause": f"{type(error).__name__}: {message}"}
    return {
        "build_seconds": built + max(0.0, first - taken),
        "epoch_seconds": epoch,
        "parameters": int(program.model.count_params()),
    }


def _timed(program: Any, stack: Stack, data: Any, steps: int) -> tuple[float, float]:
    """Return the seconds of a first epoch of some steps, which is traced, and of a second one."""
    rows, _ = data.rows
    order = np.resize(np.arange(rows, dtype=np.int32), (steps, min(stack["batch_size"], rows)))
    rates = np.full(steps, stack["optimizer.learning_rate"], np.float32)
    seconds = []
    for key in range(2):
        began = time.perf_counter()
        program.epoch(stack, data, order, rates, None, key)
        seconds.append(time.perf_counter() - began)
    return seconds[0], seconds[1]


if __name__ == "__main__":
    raise SystemExit(serve(tries))
