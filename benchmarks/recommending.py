"""Test losses of the recommendations of default launches on tables, compared between two versions.

    python -m benchmarks.recommending run TABLES -o RUNS.jsonl [--command trainstack] [--seeds 0 1]
    python -m benchmarks.recommending table TABLES BEFORE.jsonl AFTER.jsonl

TABLES is a folder of Parquet files whose last column is the target. `run` launches every table with
default flags, one study seed at a time, and resumes where it stopped; `--command` selects the
version to measure. `table` compares two such files, together with scikit-learn's
HistGradientBoosting with its defaults on the same training and test rows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import fmean, median
from typing import Any

DATA = (
    *("pima_diabetes", "vehicle", "concrete", "yeast"),
    *("abalone", "satellite", "cpu_act", "california_housing"),
)
KEPT = ("verdict", "stack", "validation", "test", "baseline")


def target_of(tables: Path, data: str) -> str:
    """Return the name of a table's last column."""
    import pyarrow.parquet as pq

    return pq.read_schema(tables / f"{data}.parquet").names[-1]


def read(path: Path) -> list[dict[str, Any]]:
    """Return the recorded launches."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def run(tables: Path, out: Path, command: str, seeds: list[int], data: list[str]) -> None:
    """Run the launches that are not recorded yet."""
    done = {(row["table"], row["seed"]) for row in read(out)} if out.exists() else set()
    with tempfile.TemporaryDirectory() as home:
        for seed in seeds:
            for name in data:
                if (name, seed) in done:
                    continue
                words = [command, "launch", str(tables / f"{name}.parquet"), "--json"]
                words += ["--target", target_of(tables, name)]
                words += ["--study", f"{name}-{seed}", "--seed", str(seed)]
                began = time.perf_counter()
                environment = {**os.environ, "TRAINSTACK_HOME": home}
                ended = subprocess.run(
                    words, env=environment, capture_output=True, text=True, cwd=home, check=False
                )
                row: dict[str, Any] = {"table": name, "seed": seed, "exit": ended.returncode}
                row["seconds"] = round(time.perf_counter() - began, 1)
                if ended.returncode == 0:
                    found = json.loads(ended.stdout)
                    row |= {key: found[key] for key in KEPT}
                else:
                    print(ended.stderr[-500:], file=sys.stderr)
                with out.open("a") as file:
                    file.write(json.dumps(row) + "\n")


def yardstick(tables: Path, data: str) -> float:
    """Return the test loss of HistGradientBoosting, trained on the confirmation's first split."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.metrics import log_loss

    from trainstack.search.data.load import load
    from trainstack.search.evidence.planned_run import confirmation_seed

    split = load(str(tables / f"{data}.parquet"), target_of(tables, data)).split(
        confirmation_seed(0, 0)
    )
    standard = split.prepared()
    if split.y_train.dtype.kind == "i":
        model = HistGradientBoostingClassifier(random_state=0).fit(split.x_train, split.y_train)
        return float(log_loss(split.y_test, model.predict_proba(split.x_test)))
    model = HistGradientBoostingRegressor(random_state=0).fit(standard.x_train, standard.y_train)
    return float(((model.predict(standard.x_test) - standard.y_test) ** 2).mean())


def table(tables: Path, before: Path, after: Path) -> None:
    """Print both files side by side, as medians over their common seeds."""
    found: list[dict[str, dict[int, Any]]] = []
    for path in (before, after):
        losses: dict[str, dict[int, Any]] = defaultdict(dict)
        for row in read(path):
            if row["exit"] == 0:
                losses[row["table"]][row["seed"]] = row
        found.append(losses)
    print("table | seeds | test loss before | after | after / before | boosting | seconds")
    ratios, beaten = [], [0, 0]
    for data in (name for name in DATA if name in found[0] and name in found[1]):
        seeds = sorted(set(found[0][data]) & set(found[1][data]))
        if not seeds:
            continue
        old, new = (median(side[data][s]["test"]["loss"]["mean"] for s in seeds) for side in found)
        spent = [fmean(side[data][s]["seconds"] or 0.0 for s in seeds) for side in found]
        stick = yardstick(tables, data)
        ratios.append(new / old)
        beaten = [beaten[0] + (old < stick), beaten[1] + (new < stick)]
        print(
            f"{data} | {len(seeds)} | {old:.4f} | {new:.4f} | {new / old:.2f} | {stick:.4f} | "
            f"{spent[0]:.0f}, {spent[1]:.0f}"
        )
    print(
        f"median ratio {median(ratios):.2f}; boosting is beaten on {beaten[0]} tables before and "
        f"{beaten[1]} after"
    )


def main() -> None:
    """Run, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    runs = verbs.add_parser("run")
    runs.add_argument("tables", type=Path)
    runs.add_argument("-o", type=Path, required=True)
    runs.add_argument("--command", default="trainstack")
    runs.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    runs.add_argument("--data", nargs="*", default=list(DATA))
    shown = verbs.add_parser("table")
    for name in ("tables", "before", "after"):
        shown.add_argument(name, type=Path)
    given = parser.parse_args()
    if given.verb == "run":
        run(given.tables, given.o, given.command, given.seeds, given.data)
    else:
        table(given.tables, given.before, given.after)


if __name__ == "__main__":
    main()
