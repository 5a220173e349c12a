"""Record stacks trained on every fold of many divisions, to replay choices among them.

    python -m benchmarks.folds TABLES -o FOLDS.jsonl --data … [--stacks 0 12] [--divisions 0 50]

TABLES is a folder of Parquet files whose last column is the target; a name without a file there is
a built-in data set. A division cuts the rows that are not for testing into five folds by its seed.
The stacks are those that random search draws from the `chapter` space, with an eighth of the widths
and at most three layers, so that many of them train at once on a CPU. Each trains its whole plan of
the default length, without pruning. Bundles that the output file already holds are not repeated.
`benchmarks.fold_choices` and `benchmarks.fold_racing` read the file.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

FOLDS = 5
# Divisions whose folds are trained in one bundle.
TOGETHER = 25
# Points of a recorded curve, at equal shares of the plan.
POINTS = 12
WIDTH_SHARE, MOST_LAYERS, LEAST_UNITS = 1 / 8, 3, 8
MOST_STACKS = 40
# Weights between layers up to which stacks are recorded.
MOST_WEIGHTS = 10_000


class _Unkept:
    """A place in a bundle whose weights are not wanted."""

    def __init__(self, program: Any) -> None:
        self.program = program

    def completed(self, stack: Any) -> Any:
        """Return the stack as `Place.completed`."""
        return self.program.completed(stack)

    def measured(self) -> list[Any]:
        """Return nothing, which is then not restored."""
        return []


def stacks(space: Any, features: int) -> list[Any]:
    """Return the stacks that random search draws from a space, made small."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=11))
    return [small(space.draw(study.ask()), features) for _ in range(MOST_STACKS)]


def small(stack: Any, features: int) -> Any:
    """Return a stack with narrow layers, so that bundles of it pay on a CPU."""
    units = [max(LEAST_UNITS, int(WIDTH_SHARE * width)) for width in stack.units[:MOST_LAYERS]]
    while sum(a * b for a, b in pairwise((features, *units))) > MOST_WEIGHTS:
        units = [width // 2 for width in units]
    return stack.but(units=units)


def thinned(losses: Sequence[float], planned: int) -> list[float]:
    """Return the lowest loss up to each twelfth of a plan.

    A run that ended before keeps its lowest loss. The last value has six digits, others four.

    >>> thinned([3.0, 2.0, 2.5, 1.0], planned=4)
    [3.0, 3.0, 3.0, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0]
    """
    ends = [max(1, int(planned * k / POINTS + 1e-9)) for k in range(1, POINTS + 1)]
    lowest = [min(losses[:end]) for end in ends]
    return [*(float(f"{loss:.4g}") for loss in lowest[:-1]), float(f"{lowest[-1]:.6g}")]


def record(bench: Any, stack: Any, splits: Sequence[Any], first_seed: int, epochs: int) -> list:
    """Train a stack on every split at once, with a seed for each, counted from the first.

    Returns:
        The thinned curve of each network; empty if it diverged.
    """
    from trainstack.search.records import Outcome
    from trainstack.workers.engine.together import train_together
    from trainstack.workers.engine.training import Training

    def bundle_of(networks: int) -> Any:
        found = bench.bundle(program, stack, networks, data[0], epochs)
        found.places = [_Unkept(program)] * networks
        return found

    data = [part for _, part in splits]
    program, _ = bench.program(stack, data[0], epochs, len(data))
    bundle, trainings = bundle_of(len(data)), []
    for k, (split, _) in enumerate(splits):
        seed = first_seed + k
        program.use(data[k])
        program.reset(stack, seed)
        bundle.load(k)
        trainings.append(Training(program, stack, seed, epochs, bench.untrained_loss(split)))
    judges = [lambda measured: None] * len(data)
    results = train_together(bundle, trainings, data, judges, bundle_of)
    planned = stack.planned_epochs(epochs)
    return [
        thinned([m.minimized for m in result.measurements], planned)
        if result.outcome == Outcome.COMPLETED
        else []
        for result in results
    ]


def main() -> None:
    """Record the bundles that the file does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path)
    parser.add_argument("-o", type=Path, required=True)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--stacks", type=int, nargs=2, default=(0, 12), help="first and end")
    parser.add_argument("--divisions", type=int, nargs=2, default=(0, 50), help="first and end")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    done = set()
    if arguments.o.exists():
        done = {json.loads(line)["key"] for line in arguments.o.read_text().splitlines()}
    threads = 1
    for name in arguments.data:
        with tempfile.TemporaryDirectory() as folder, arguments.o.open("a") as file:
            bench, dataset = opened(arguments.tables, name, threads, folder)
            threads = 0  # TensorFlow accepts the setting only once
            for first in range(*arguments.divisions, TOGETHER):
                divisions = range(first, min(first + TOGETHER, arguments.divisions[1]))
                _block(bench, dataset, name, range(*arguments.stacks), divisions, done, file)


def opened(tables: Path, name: str, threads: int, folder: str) -> tuple[Any, Any]:
    """Return a bench for a data set, and the data set."""
    import pyarrow.parquet as pq

    from trainstack.search.data.load import load
    from trainstack.search.spec import StudySpec
    from trainstack.workers.engine.bench import Bench

    source, target, path = name, None, tables / f"{name}.parquet"
    if path.exists():
        source, target = str(path), pq.read_schema(path).names[-1]
    dataset = load(source, target)
    return Bench(StudySpec(name, dataset.describe(), {}), threads, folder), dataset


def _block(
    bench: Any, dataset: Any, name: str, numbers: range, divisions: range, done: set, file: Any
) -> None:
    """Record stacks on some divisions, in one bundle each."""
    from trainstack.search.plan_length import batch_sizes, default_epochs, training_rows
    from trainstack.spaces.for_data import for_rows
    from trainstack.spaces.space import Space
    from trainstack.workers.engine.device_data import DeviceData
    from trainstack.workers.engine.streaming import put

    rows, splits = training_rows(dataset), []
    space = for_rows(Space.named("chapter"), rows)
    epochs = default_epochs(dataset.task, rows, batch_sizes(space))
    drawn = stacks(space, bench.spec.data.features)
    for number in numbers:
        key = f"{name}/{number}/{divisions.start}"
        if key in done:
            continue
        splits = splits or [
            (split, put(split, math.inf, DeviceData))
            for seed in divisions
            for split in dataset.folds(FOLDS, 1, seed)
        ]
        began = time.process_time()
        first_seed = 100_000 * number + FOLDS * divisions.start
        curves = record(bench, drawn[number], splits, first_seed, epochs)
        row = {
            "key": key,
            "data": name,
            "task": dataset.task,
            "rows": sum(splits[0][1].rows),
            "stack_number": number,
            "stack": drawn[number].to_json(),
            "epochs": epochs,
            "first_division": divisions.start,
            "seconds": round(time.process_time() - began, 2),
            "curves": curves,
        }
        file.write(json.dumps(row, separators=(",", ":")) + "\n")
        file.flush()
        print(f"{key}: {row['seconds']} s, {drawn[number].units}", flush=True)


if __name__ == "__main__":
    main()
