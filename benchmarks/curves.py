"""Record full learning curves on tables, without any stopping, to replay stopping rules on them.

    python -m benchmarks.curves TABLES -o CURVES.jsonl --what references|lengths|draws

TABLES is a folder of Parquet files whose last column is the target. Runs that the output file
already holds are not repeated. `benchmarks.stopping` and `benchmarks.lengths` read it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Smallest to largest; at least three each of binary, multiclass and regression tasks.
SMALL = ("pima_diabetes", "vehicle", "concrete", "yeast", "abalone", "satellite", "cpu_act")
LARGE = ("california_housing",)
FASHION = "fashion-mnist"
# Minimum updates of a reference's plan; large data sets use as many epochs as a study of them.
UPDATES = 8_000
DRAWS = 40


@dataclass(frozen=True)
class Asked:
    """A run to record: its data, a name for the stack, the stack, the planned epochs, a seed."""

    data: str
    name: str
    stack: Any
    epochs: int
    seed: int = 0

    @property
    def key(self) -> str:
        """Key that identifies the run in the file."""
        return f"{self.data}/{self.name}/{self.epochs}/{self.seed}"


def length_stacks(batch: int) -> dict[str, Any]:
    """Return a few good stacks, one for each kind of schedule."""
    from trainstack.spaces.stack import Stack

    wide = {"units": [256, 256, 256], "batch_size": batch}
    relu = {"activation": "relu", "initializer": "he_normal", "normalization": "before"}
    return {
        "selu-adam-cosine": Stack.of(**wide, optimizer="adam", schedule="cosine"),
        **{
            f"selu-nadam-performance-{share:g}": Stack.of(
                units=[300, 100], batch_size=batch, schedule__patience=share
            )
            for share in (0.05, 1 / 6)
        },
        "relu-bn-dropout-adamw-linear": Stack.of(
            **wide, **relu, dropout="all", dropout__rate=0.2, optimizer="adamw", schedule="linear"
        ),
        "relu-nesterov-1cycle": Stack.of(
            **{**wide, **relu, "normalization": "none"},
            **{"optimizer": "nesterov", "optimizer__learning_rate": 0.03, "schedule": "1cycle"},
        ),
    }


def asked(what: str, data: str, rows: int) -> Iterator[Asked]:
    """Yield the runs of one question on one data set, given its training rows."""
    import optuna

    from trainstack.spaces.references import REFERENCES
    from trainstack.spaces.space import Space

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if what == "references":
        for name, stack in REFERENCES.items():
            steps = max(1, rows // stack["batch_size"])
            epochs = 27 if data == FASHION else max(30, min(256, -(-UPDATES // steps)))
            yield Asked(data, name, stack, epochs)
    elif what == "lengths":
        batch = 32 if rows < 5_000 else 128
        for updates in (1000, 2000, 4000, 8000):
            for name, stack in length_stacks(batch).items():
                yield Asked(data, name, stack, max(2, round(updates / max(1, rows // batch))))
    else:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=7))
        space = Space.named("chapter")
        for number in range(DRAWS):
            stack = space.draw(study.ask())
            steps = max(1, rows // stack["batch_size"])
            yield Asked(data, f"draw-{number}", stack, max(30, min(256, UPDATES // steps)))


def record(bench: Any, run: Asked) -> dict[str, Any]:
    """Train one run to the end of its plan, regardless of its losses."""
    import numpy as np

    from trainstack.search.folds import SplitId
    from trainstack.workers.engine.training import Training

    stack = run.stack.but(stopping="none")
    began = time.perf_counter()
    split, data = bench.split(SplitId(run.seed), stack)
    program, _ = bench.program(stack, data, run.epochs)
    program.reset(stack, run.seed)
    training = Training(program, stack, run.seed, run.epochs, untrained_loss=1e9)
    result = training.run(data, lambda measured: None)
    standard = split.prepared()
    curve = [float(f"{m.valid_loss:.5g}") for m in result.measurements]
    test = program.loss(standard.x_test, standard.y_test) if result.best_epoch else None
    return {
        "key": run.key,
        "data": run.data,
        "name": run.name,
        "rows": int(data.rows[0]),
        "epochs": run.epochs,
        "outcome": result.outcome,
        "best_epoch": result.best_epoch,
        "valid": curve,
        "test": test if test is None or np.isfinite(test) else None,
        "epoch_seconds": float(np.median([m.seconds for m in result.measurements] or [0.0])),
        "seconds": time.perf_counter() - began,
        "stack": run.stack.to_json(),
    }


def main() -> None:
    """Record the runs that the file does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path)
    parser.add_argument("-o", type=Path, required=True)
    parser.add_argument("--what", choices=("references", "lengths", "draws"), required=True)
    parser.add_argument("--data", nargs="*", default=[*SMALL, *LARGE])
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import pyarrow.parquet as pq

    from trainstack.search.data.load import load
    from trainstack.search.folds import SplitId
    from trainstack.search.spec import StudySpec
    from trainstack.spaces.stack import Stack
    from trainstack.workers.engine.bench import Bench

    done = set()
    if arguments.o.exists():
        done = {json.loads(line)["key"] for line in arguments.o.read_text().splitlines()}
    threads = 1
    for name in arguments.data:
        source, target = name, None
        if name != FASHION:
            source = str(arguments.tables / f"{name}.parquet")
            target = pq.read_schema(source).names[-1]
        dataset = load(source, target)
        spec = StudySpec(name, dataset.describe(), {})
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(spec, threads, folder)
            threads = 0  # TensorFlow accepts the setting only once
            rows = bench.split(SplitId(0), Stack.of())[1].rows[0]
            for run in asked(arguments.what, name, rows):
                if run.key not in done:
                    with arguments.o.open("a") as file:
                        file.write(json.dumps(record(bench, run)) + "\n")


if __name__ == "__main__":
    main()
