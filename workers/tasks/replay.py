"""Train a recorded trial again: `python -m trainstack.workers.tasks.replay`.

The record is read from standard input; the curve is written to standard output.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

from trainstack.search.records import CONFIRMATION, SEARCH, Measurement, Outcome
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.messages import Job
from trainstack.workers.tasks.requests import serve


def replay(request: Any) -> Iterator[dict[str, Any]]:
    """Train the trial as its worker did: same stack, seeds, split, batch order and compilation.

    Args:
        request: `{"spec", "stack", "kind", "seed", "epochs", "threads"}`; the trial ends after
            `epochs` epochs, as the pruner may have ended it.

    Raises:
        RequestError: The data here is not the study's.
    """
    from trainstack.workers.tasks.jobs import JobBench

    spec = StudySpec.from_json(request["spec"])
    confirming = request["kind"] == CONFIRMATION

    def judge(measured: Measurement) -> str | None:
        return Outcome.PRUNED if measured.epoch >= request["epochs"] < spec.epochs else None

    job = Job(
        token="replay",
        kind=SEARCH,  # keeps no weights
        stack=Stack.from_json(request["stack"]),
        seed=request["seed"],
        split_seed=request["seed"] if confirming else spec.seed,
        epochs=spec.epochs,
        again=spec.replicates if confirming else 1,
        folder="replay",
    )
    # A separate folder, so that no earlier checkpoint is resumed and none is left behind.
    with tempfile.TemporaryDirectory() as folder:
        bench = JobBench(spec, request["threads"], folder)
        found = bench.train(job, judge)
    yield {
        "device": bench.device,
        "outcome": found.outcome,
        "cause": found.cause,
        "curve": [measured.minimized for measured in found.measurements],
        "seconds": dict(found.seconds),
    }


if __name__ == "__main__":
    raise SystemExit(serve(replay))
