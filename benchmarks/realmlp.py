"""Compare `realmlp-td-s` with its original on the same splits.

    python -m benchmarks.realmlp splits TABLES SPLITS [--data NAME ...] [--count 10]
    python -m benchmarks.realmlp ours TABLES -o OURS.jsonl [--data NAME ...] [--count 10]
    python -m benchmarks.realmlp compare OURS.jsonl REFERENCE.jsonl

TABLES is a folder of Parquet files whose last column is the target. `splits` writes each data set
and its ten splits for `benchmarks.realmlp_reference`, which trains pytabkit's network on them.
`ours` trains the reference stack on the same splits: 256 epochs, the epoch with the best validation
error kept. Each line of its output also has the error of the last of equally good epochs, which the
original keeps. `compare` prints the mean test errors and their difference in standard errors.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

DATA = ("vehicle", "satellite", "spambase", "concrete", "abalone", "cpu_act")
SEEDS, EPOCHS = 10, 256


def write_splits(tables: Path, folder: Path, names: Sequence[str], count: int) -> None:
    """Write each data set's rows as Parquet, and the positions of its splits as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        dataset = loaded(tables, name)
        frame = dataset.x.assign(target=dataset.y)
        frame.to_parquet(folder / f"{name}.parquet")
        splits = [
            {part: rows.tolist() for part, rows in dataset.division.positions(seed).items()}
            for seed in range(count)
        ]
        plan = {"task": dataset.task, "splits": splits}
        (folder / f"{name}.json").write_text(json.dumps(plan))


def loaded(tables: Path, name: str) -> Any:
    """Return a table's data set."""
    import pyarrow.parquet as pq

    from trainstack.search.data.load import load

    path = tables / f"{name}.parquet"
    return load(str(path), pq.read_schema(path).names[-1])


def train_ours(tables: Path, output: Path, names: Sequence[str], count: int) -> None:
    """Train the reference stack on every split of these data that the output file does not hold."""
    done = set()
    if output.exists():
        rows = map(json.loads, output.read_text().splitlines())
        done = {(row["data"], row["seed"]) for row in rows}
    threads = 1
    with output.open("a") as file:
        for name in names:
            seeds = [seed for seed in range(count) if (name, seed) not in done]
            if not seeds:
                continue
            with tempfile.TemporaryDirectory() as folder:
                bench = opened(loaded(tables, name), threads, folder)
                threads = 0  # TensorFlow accepts the setting only once
                for seed in seeds:
                    row = {"data": name, "seed": seed, **run(bench, seed)}
                    file.write(json.dumps(row) + "\n")
                    file.flush()


def opened(dataset: Any, threads: int, folder: str) -> Any:
    """Return a bench for a data set; accuracy decides among the epochs of a classification."""
    from trainstack.search.spec import StudySpec
    from trainstack.workers.engine.bench import Bench

    metric = "accuracy" if dataset.task == "classification" else ""
    spec = StudySpec("realmlp", dataset.describe(), {}, epochs=EPOCHS, metric=metric)
    return Bench(spec, threads, folder)


def run(bench: Any, seed: int) -> dict[str, float]:
    """Train on a split; return the errors: the share of wrong classes, or the RMSE."""
    from trainstack.search.folds import SplitId
    from trainstack.spaces.references import reference
    from trainstack.workers.engine.objective import Objective
    from trainstack.workers.engine.training import Training

    stack = reference("realmlp-td-s", bench.spec.data.task)
    began = time.perf_counter()
    split, data = bench.split(SplitId(seed, None), stack)
    program, _ = bench.program(stack, data, EPOCHS, SEEDS)
    program.reset(stack, seed, data)
    untrained = bench.untrained_loss(split)
    objective = Objective.of(bench.spec, split)
    least, last = float("inf"), []

    def judge(measured: Any) -> None:
        nonlocal least, last
        if measured.minimized <= least:
            least, last = measured.minimized, program.measured()

    Training(program, stack, seed, EPOCHS, untrained, objective=objective).run(data, judge)
    seconds = time.perf_counter() - began
    prepared = split.prepared()
    found = {
        "valid": error(split, split.y_valid, program.outputs(prepared.x_valid)),
        "test": error(split, split.y_test, program.outputs(prepared.x_test)),
    }
    program.set_weights(last)
    found["test_of_last"] = error(split, split.y_test, program.outputs(prepared.x_test))
    return {**found, "seconds": seconds}


def error(split: Any, y: np.ndarray, outputs: np.ndarray) -> float:
    """Return the share of wrong classes, or the root mean squared error."""
    found = split.predictions(outputs)
    if found.ndim == 2:
        return float(np.mean(found.argmax(axis=1) != y))
    return float(np.sqrt(np.mean(np.square(found - y))))


def compare(ours: Path, reference: Path) -> None:
    """Print each data set's mean test errors on the splits of both, and their difference.

    It is in standard errors: of two independent means, and of the mean difference on a split.
    """
    theirs = by_split(reference, "test")
    rules = {"first": by_split(ours, "test"), "last": by_split(ours, "test_of_last")}
    print("| data | splits | kept of equals | ours | original | difference | on the same splits |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for name in rules["first"]:
        splits = sorted(rules["first"][name].keys() & theirs[name].keys())
        if len(splits) < 2:
            continue
        b = np.array([theirs[name][split] for split in splits])
        for rule, errors in rules.items():
            a = np.array([errors[name][split] for split in splits])
            if rule == "last" and errors[name] == rules["first"][name]:
                continue  # no two epochs were equally good
            apart = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(splits))
            together = (a - b).std(ddof=1) / np.sqrt(len(splits))
            difference = a.mean() - b.mean()
            print(
                f"| {name} | {len(splits)} | {rule} | {a.mean():.4f} | {b.mean():.4f} "
                f"| {difference / apart:+.2f} | {difference / together:+.2f} |"
            )


def by_split(path: Path, key: str) -> dict[str, dict[int, float]]:
    """Return the errors of a file's lines, data set → split → error; `test` where `key` lacks."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for row in map(json.loads, path.read_text().splitlines()):
        found[row["data"]][row["seed"]] = row.get(key, row["test"])
    return found


def main() -> None:
    """Run one of the three steps."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    for step, places in (("splits", ("tables", "splits")), ("ours", ("tables",))):
        part = steps.add_parser(step)
        for place in places:
            part.add_argument(place, type=Path)
        part.add_argument("--data", nargs="+", choices=DATA, default=DATA)
        part.add_argument("--count", type=int, default=SEEDS, help="number of splits")
    steps.choices["ours"].add_argument("-o", type=Path, required=True)
    part = steps.add_parser("compare")
    part.add_argument("ours", type=Path)
    part.add_argument("reference", type=Path)
    given = parser.parse_args()
    if given.step == "splits":
        write_splits(given.tables, given.splits, given.data, given.count)
    elif given.step == "ours":
        train_ours(given.tables, given.o, given.data, given.count)
    else:
        compare(given.ours, given.reference)


if __name__ == "__main__":
    main()
