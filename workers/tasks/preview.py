"""Build stacks and step one batch of each: `python -m trainstack.workers.tasks.preview`.

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

# Cost of a validation row's forward pass, as a share of a training row's cost.
FORWARD_SHARE = 1 / 3
# Number of timed steps, after the first batch.
TIMED_STEPS = 3


def tries(request: Any) -> Iterator[dict[str, Any]]:
    """Answer `{"spec", "stacks", "threads"}` with one document per stack, in their order."""
    from trainstack.workers.engine.bench import Bench

    bench = Bench(StudySpec.from_json(request["spec"]), request["threads"], ".")
    for document in request["stacks"]:
        yield try_out(bench, Stack.from_json(document))


def try_out(bench: Any, stack: Stack) -> dict[str, Any]:
    """Build a stack as a worker would and step one batch of the study's data.

    Returns:
        `build_seconds` (tracing and compiling included), `epoch_seconds` (estimated from the
        timed steps) and `parameters`; or `cause`, if it cannot be built or stepped.
    """
    began = time.perf_counter()
    try:
        _, data = bench.split(search_splits(bench.spec)[0])
        program, _ = bench.program(stack, data, bench.spec.epochs)
        program.reset(stack, bench.spec.seed, data)
        rows, valid_rows = data.rows
        batch = min(stack["batch_size"], rows)
        order = np.arange(batch, dtype=np.int32)[None]
        rate = np.full(1, stack["optimizer.learning_rate"], np.float32)
        program.epoch(stack, data, order, rate, None, 0)
        build_seconds = time.perf_counter() - began
        began = time.perf_counter()
        for key in range(TIMED_STEPS):
            program.epoch(stack, data, order, rate, None, key)
        timed = (time.perf_counter() - began) / TIMED_STEPS
    except TrainstackError:
        raise
    except Exception as error:
        # Any error of Keras or TensorFlow is the reason why the stack cannot be trained here.
        message = (str(error).strip().splitlines() or [""])[0]
        return {"cause": f"{type(error).__name__}: {message}"}
    # Each timed call is one step and one validation pass; an epoch has one such pass, too.
    validation = FORWARD_SHARE * valid_rows / batch
    step = timed / (1 + validation)
    return {
        "build_seconds": build_seconds,
        "epoch_seconds": step * (max(1, rows // batch) + validation),
        "parameters": int(program.model.count_params()),
    }


if __name__ == "__main__":
    raise SystemExit(serve(tries))
