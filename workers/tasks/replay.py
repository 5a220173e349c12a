"""Train a recorded trial again: `python -m trainstack.workers.tasks.replay`.

The record is read from standard input; the curve is written to standard output.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trainstack.search.folds import splits_of
from trainstack.search.records import CONFIRMATION, SEARCH, Measurement, Outcome
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.messages import Job
from trainstack.workers.tasks.requests import serve


def replay(request: Any) -> Iterator[dict[str, Any]]:
    """Train the trial as its worker did: same stack, seeds, split, batch order and compilation.

    Args:
        request: `{"spec", "stack", "kind", "seed", "seed_index", "epochs", "folds", "threads"}`;
            the trial ends after `epochs` epochs, or after `folds` folds, as the pruner may have
            ended it.

    Raises:
        RequestError: The data here is not the study's.
    """
    from trainstack.workers.tasks.jobs import JobBench

    spec = StudySpec.from_json(request["spec"])
    confirming = request["kind"] == CONFIRMATION
    monitor = _Recorded(request["epochs"], spec.epochs, request["folds"])
    splits = splits_of(spec, request["kind"], request["seed_index"])
    job = Job(
        token="replay",
        kind=SEARCH,  # keeps no weights
        stack=Stack.from_json(request["stack"]),
        seed=request["seed"],
        splits=splits,
        epochs=spec.epochs,
        again=spec.replicates if confirming else len(splits),
        folder="replay",
    )
    # A separate folder, so that no earlier checkpoint is resumed and none is left behind.
    with tempfile.TemporaryDirectory() as folder:
        bench = JobBench(spec, request["threads"], folder)
        if len(job.splits) > 1:
            found = bench.train_folds(job, monitor)
        else:
            found = bench.train(job, lambda measured: monitor.tell(job, measured))
    yield {
        "device": bench.device,
        "outcome": found.outcome,
        "cause": found.cause,
        "curve": [measured.minimized for measured in found.measurements],
        "folds": found.payload.get("folds", []),
        "seconds": dict(found.seconds),
    }


@dataclass(frozen=True)
class _Recorded:
    """Ends a trial where its record ends.

    Attributes:
        epochs: Epochs of its record.
        planned: Most epochs of a trial.
        folds: Folds of its record.
    """

    epochs: int
    planned: int
    folds: int

    def tell(self, job: Job, measurement: Measurement) -> str | None:
        return Outcome.PRUNED if measurement.epoch >= self.epochs < self.planned else None

    def after_first_folds(self, job: Job, values: Sequence[float]) -> str | None:
        return Outcome.PRUNED if len(values) >= self.folds else None

    def alive(self, job: Job) -> None:
        return None


if __name__ == "__main__":
    raise SystemExit(serve(replay))
