"""Record whole runs of the same stacks on many tables.

    python -m benchmarks.atlas.record TABLES [-o FOLDER] [--data …] [--points 60] [--minutes 60]

TABLES is a folder of Parquet files whose last column is the target. Each data set has a file of its
own in FOLDER, which is written anew after every block of runs; what it holds is not run again, so
that the command continues on any machine. Several may run at once: a data set that another one is
recording is left to it. Every run trains its whole plan, without pruning, on one thread.

The stacks of the first pass (`recorded_stacks`) have the seed 0; then the best fifth of each data
set, by its validation loss, and the chapter's default are trained with the seeds 1 and 2.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.atlas.records import BASELINE, FOLDER, best_fifth, lines, write_lines

# Smaller than 10,000 rows, then the others; each by size.
SMALL = (
    *("soybean", "pima_diabetes", "vehicle", "concrete", "yeast", "communities_crime"),
    *("dna_splice", "abalone", "credit_scoring", "spambase", "mnist_5k", "satellite", "cpu_act"),
)
LARGE = (
    *("magic_telescope", "letter", "california_housing", "kc_house"),
    *("credit_default", "protein", "adult"),
)
# Runs of a process, which then gives its memory back.
BLOCK = 24
SEEDS = (0, 1, 2)


def main() -> None:
    """Record one block of runs after another, on each data set in turn, until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path)
    parser.add_argument("-o", type=Path, default=FOLDER)
    parser.add_argument("--data", nargs="+", default=[*SMALL, *LARGE])
    parser.add_argument("--points", type=int, default=60, help="points of the spaces")
    parser.add_argument("--names", nargs="+", help="only these stacks")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, help="seeds of --names")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no block later")
    parser.add_argument("--block", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.o.mkdir(parents=True, exist_ok=True)
    if given.block:
        named = None if given.names is None else (given.names, given.seeds)
        _record_block(given.tables, given.o, given.block, given.points, named)
        return
    end, words = time.monotonic() + 60 * given.minutes, sys.argv[1:]
    going = list(given.data)
    while going:
        for name in tuple(going):
            if time.monotonic() > end:
                return
            block = [sys.executable, "-m", "benchmarks.atlas.record", *words, "--block", name]
            ended = subprocess.run(block, check=False)
            if ended.returncode == _NOTHING_LEFT:
                going.remove(name)


_NOTHING_LEFT = 3


def _record_block(
    tables: Path,
    folder: Path,
    name: str,
    points: int,
    named: tuple[Sequence[str], Sequence[int]] | None,
) -> None:
    """Record the next runs of a data set; exit with `_NOTHING_LEFT` if there are none."""
    with (folder / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with tempfile.TemporaryDirectory() as artifacts:
            bench, epochs = opened(tables, name, artifacts)
            found = lines(folder, name)
            asked = left(bench, found, points, named)[:BLOCK]
            if not asked:
                sys.exit(_NOTHING_LEFT)
            for stack_name, stack, seed in asked:
                run = {"name": stack_name, "seed": seed, **trained(bench, stack, seed, epochs)}
                found.append(run)
                print(name, stack_name, seed, run["outcome"], run["seconds"], flush=True)
        write_lines(folder, name, found)


def opened(tables: Path, name: str, artifacts: str) -> tuple[Any, int]:
    """Return a bench for a table, with one thread, and the default length of its plans."""
    import pyarrow.parquet as pq

    from trainstack.search.data.load import load
    from trainstack.search.plan_length import batch_sizes, default_epochs, training_rows
    from trainstack.search.spec import StudySpec
    from trainstack.spaces.for_data import for_rows
    from trainstack.spaces.space import Space
    from trainstack.workers.engine.bench import Bench

    path = str(tables / f"{name}.parquet")
    task = "classification" if name == "mnist_5k" else "auto"
    dataset = load(path, pq.read_schema(path).names[-1], task)
    rows = training_rows(dataset)
    sizes = batch_sizes(for_rows(Space.named("modern"), rows))
    epochs = default_epochs(dataset.task, rows, sizes)
    return Bench(StudySpec(name, dataset.describe(), {}, epochs=epochs), 1, artifacts), epochs


def left(
    bench: Any,
    found: Sequence[dict[str, Any]],
    points: int,
    named: tuple[Sequence[str], Sequence[int]] | None = None,
) -> list[tuple[str, Any, int]]:
    """Return the runs of a data set that are not recorded, in order: name, stack and seed.

    Args:
        bench: The data set's bench.
        found: The recorded documents.
        points: Number of points of the spaces.
        named: The only stacks to record, and their seeds; None: all, as the module says.
    """
    from benchmarks.atlas.stacks import recorded_stacks
    from trainstack.search.plan_length import training_rows

    done = {(run["name"], run["seed"]) for run in found}
    rows = training_rows(bench.dataset)
    stacks = {s.name: s.stack for s in recorded_stacks(bench.spec.data.task, rows, points)}
    first, *others = SEEDS
    if named is not None:
        names, seeds = named
        asked = [(name, stacks[name], seed) for seed in seeds for name in names if name in stacks]
        return [run for run in asked if (run[0], run[2]) not in done]
    asked = [(name, stack, first) for name, stack in stacks.items() if (name, first) not in done]
    if asked:
        return asked
    best = [name for name in stacks if name in (BASELINE, *best_fifth(found))]
    return [
        (name, stacks[name], seed) for seed in others for name in best if (name, seed) not in done
    ]


def trained(bench: Any, stack: Any, seed: int, epochs: int) -> dict[str, Any]:
    """Train a stack's whole plan on the split of a seed; return its record.

    Seconds are processor time, so that other work on the machine does not count.
    """
    import numpy as np

    from trainstack.search.folds import SplitId
    from trainstack.search.records import Outcome
    from trainstack.workers.engine.training import Training
    from trainstack.workers.tasks.metrics import Scorer

    began = time.process_time()
    split, data = bench.split(SplitId(seed), stack)
    program, _ = bench.program(stack, data, epochs)
    program.reset(stack, seed, data)
    built = time.process_time()
    untrained = bench.untrained_loss(split)
    training = Training(program, stack.but(stopping="none"), seed, epochs, untrained, split.y_scale)
    result = training.run(data, lambda measured: None)
    ended = time.process_time()
    scorer, figures = Scorer.of(bench.spec, split), {}
    if result.outcome == Outcome.COMPLETED:
        for part in ("valid", "test"):
            outputs = program.outputs(split.prepare(getattr(split, f"x_{part}")))
            found = (
                scorer.figures(scorer.answers(outputs), part) if np.isfinite(outputs).all() else {}
            )
            figures[part] = {name: rounded(value, 6) for name, value in found.items()}
    return {
        "stack": stack.to_json(),
        "epochs": epochs,
        "outcome": str(result.outcome),
        "best_epoch": result.best_epoch,
        "loss": [rounded(m.valid_loss, 4) for m in result.measurements],
        "metric": [rounded(m.metric, 4) for m in result.measurements],
        **figures,
        "parameters": int(program.model.count_params()),
        "seconds": [round(built - began, 2), round(ended - built, 2)],
    }


def rounded(value: float, digits: int) -> float | None:
    """Round a number to significant digits; return None if it is not finite."""
    short = float(f"{value:.{digits}g}")
    return short if abs(short) < float("inf") else None


if __name__ == "__main__":
    main()
