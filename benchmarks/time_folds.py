"""How well one split and folds choose among stacks on rows in time.

    python -m benchmarks.time_folds KC_HOUSE.parquet -o TIME_FOLDS.jsonl [--tables 12]
    python -m benchmarks.time_folds TIME_FOLDS.jsonl.gz

A search has a table of its own: a random sample of house sales over a year, or generated rows whose
target depends on their features through coefficients that drift. Each stack of `benchmarks.folds`
is trained on the product's split in time, on its five expanding windows, and on all rows that are
not for testing, validated on the test part, which is the latest fifth. The truth about a stack is
its mean loss on the test parts of all other tables. With `-o`, stacks that the file does not hold
yet are recorded; without it, recorded ones are compared.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fold_choices import BEST
from benchmarks.folds import FOLDS, record, stacks

# Rows of a table, of which a fifth is for testing.
STACKS, TABLES, ROWS = 12, 12, 400
# Splits of a table: the windows, then these two.
SPLIT, TRUTH = FOLDS, FOLDS + 1
# Scores of a search from the losses on the splits of its table, [..., splits].
SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the split": lambda losses: losses[..., SPLIT],
    "the last two windows": lambda losses: losses[..., FOLDS - 2 : FOLDS].mean(-1),
    "five windows": lambda losses: losses[..., :FOLDS].mean(-1),
}


def drifting(rows: int, seed: int) -> Any:
    """Return rows in time whose target's coefficients are a random walk.

    Args:
        rows: Number of rows, at equal distances in time.
        seed: Seed of the values and of the walk.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 6))
    steps = rng.normal(0, 2 / math.sqrt(rows), (rows, 3))
    walk = np.array([1.0, 1.0, 1.0]) + steps.cumsum(0)
    fixed = np.sin(2 * x[:, 3]) + x[:, 4] * x[:, 5]
    y = (walk * x[:, :3]).sum(1) + fixed + rng.normal(0, 0.5, rows)
    return pd.DataFrame(x, columns=[*"abcdef"]).assign(when=np.arange(rows), y=y)


def sold(houses: Path, rows: int, seed: int) -> Any:
    """Return a random sample of the sales; their time is `when`, the logarithm of their price `y`.

    Columns that are constant, or have other categories, in some samples are left out.
    """
    import pandas as pd

    frame = pd.read_parquet(houses).drop(columns=["zipcode", "waterfront"])
    frame = frame.rename(columns={"sale_day": "when", "price": "y"})
    frame["y"] = np.log(frame["y"])
    return frame.sample(rows, random_state=seed)


def tables(houses: Path) -> dict[str, Callable[[int], Any]]:
    """Return the kinds of tables: name → a function of the seed."""
    return {
        "house sales": lambda seed: sold(houses, ROWS, seed),
        "drifting coefficients": lambda seed: drifting(ROWS, seed),
    }


def recorded(name: str, make: Callable[[int], Any], count: int, file: Any, done: set) -> None:
    """Record the losses of every stack on every split of every table of a kind."""
    from trainstack.search.data.load import load
    from trainstack.search.data.split_plan import SplitPlan
    from trainstack.search.plan_length import batch_sizes, default_epochs, training_rows
    from trainstack.search.spec import StudySpec
    from trainstack.spaces.space import Space
    from trainstack.workers.engine.bench import Bench
    from trainstack.workers.engine.device_data import DeviceData
    from trainstack.workers.engine.streaming import put

    with tempfile.TemporaryDirectory() as folder:
        path, each = Path(folder) / "table.parquet", []
        for seed in range(count):
            make(seed).to_parquet(path)
            data = load(str(path), "y", "regression", plan=SplitPlan(time="when"))
            held = data.positions(0)
            rest = np.setdiff1d(np.arange(data.rows), held["test"])
            positions = [*data.fold_positions(FOLDS, 1, 0), held]
            positions.append({"train": rest, "valid": held["test"]})
            parts = [data.fold(rows) for rows in positions]
            each += [(split, put(split, math.inf, DeviceData)) for split in parts]
        bench = Bench(StudySpec(name, data.describe(), {}), 0, folder)
    rows = training_rows(data)
    space = Space.named("chapter").for_rows(rows)
    epochs = default_epochs(data.task, rows, batch_sizes(space))
    drawn = stacks(space, bench.spec.data.features)
    for number in range(STACKS):
        if (name, number) in done:
            continue
        curves = record(bench, drawn[number], each, 100_000 * number, epochs)
        last = [curve[-1] if curve else math.inf for curve in curves]
        losses = np.reshape(last, (count, TRUTH + 1))
        found = {"table": name, "stack_number": number, "epochs": epochs, "losses": losses.tolist()}
        file.write(json.dumps(found, separators=(",", ":")) + "\n")
        file.flush()
        print(f"{name}, stack {number}: {np.round(losses.mean(0), 3)}", flush=True)


def compared(losses: np.ndarray, score: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    """Return how often the choice is one of the three truly best stacks, and its mean regret.

    In the truth, a network that diverged counts as the worst on its table.

    Args:
        losses: [stacks, tables, splits].
        score: Scores of stacks from their losses.
    """
    truths, found = losses[..., TRUTH], []
    worst = np.where(np.isfinite(truths), truths, -np.inf).max(0)
    truths = np.where(np.isfinite(truths), truths, worst)
    for table in range(losses.shape[1]):
        true = np.delete(truths, table, axis=1).mean(1)
        chosen = int(score(losses[:, table]).argmin())
        found.append((chosen in np.argsort(true)[:BEST], true[chosen] / true.min() - 1))
    three, regret = np.mean(found, axis=0)
    return three, regret


def main() -> None:
    """Record what is missing, or print a row for each kind of table and score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("-o", type=Path)
    parser.add_argument("--tables", type=int, default=TABLES)
    arguments = parser.parse_args()
    if arguments.o:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        done = set()
        if arguments.o.exists():
            rows = map(json.loads, arguments.o.read_text().splitlines())
            done = {(row["table"], row["stack_number"]) for row in rows}
        with arguments.o.open("a") as file:
            for name, make in tables(arguments.source).items():
                recorded(name, make, arguments.tables, file, done)
        return
    losses: dict[str, list[Any]] = defaultdict(list)
    for line in gzip.decompress(arguments.source.read_bytes()).decode().splitlines():
        row = json.loads(line)
        losses[row["table"]].append(row["losses"])
    print("table | score | of the best 3 | regret")
    for name, found in losses.items():
        for title, score in SCORES.items():
            three, regret = compared(np.array(found), score)
            print(f"{name} | {title} | {three:.0%} | {regret:.2%}")


if __name__ == "__main__":
    main()
