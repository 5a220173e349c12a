"""Measure the test errors of the models that a study can export.

    python -m benchmarks.delivering TABLES -o RESULTS.jsonl [--data …] [--seeds 5] [FLAGS]

TABLES is a folder of Parquet files whose last column is the target. Each table is searched once for
each seed of the study, in a home of its own; other FLAGS are those of `trainstack launch`. What is
in RESULTS is not run again, so that the command continues where it stopped. It then prints the
median change of the test error (1 - accuracy, or rmse) and of the test loss against the single
network.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

KINDS = ("refit", "average", "ensemble", "default")


def launched(path: Path, seed: int, flags: Sequence[str]) -> dict[str, Any]:
    """Search a table and return the recommendation's document."""
    from pyarrow import parquet

    target = parquet.read_schema(path).names[-1]
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [
                *(Path(sys.executable).with_name("trainstack"), "launch", path),
                *("--target", target, "--seed", str(seed), "--study", "s", "--json", *flags),
            ],
            env={**os.environ, "TRAINSTACK_HOME": home},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(done.stdout)


def row(data: str, seed: int, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the line of a study: the test loss and error of each of its models."""
    models = {kind: _figures(found["models"][kind]["test"]) for kind in _made(found["models"])}
    return {"data": data, "seed": seed, "default": found["models"]["default"], "models": models}


def _made(models: Mapping[str, Any]) -> list[str]:
    return [kind for kind in ("single", *KINDS[:-1]) if models[kind] is not None]


def _figures(test: Mapping[str, Any]) -> dict[str, float]:
    error = test["rmse"]["mean"] if "rmse" in test else 1 - test["accuracy"]["mean"]
    return {"loss": test["loss"]["mean"], "error": error}


def changes(rows: Sequence[Mapping[str, Any]], kind: str, figure: str) -> list[float]:
    """Return the relative changes of a figure against the single network, one for each study."""
    found = []
    for each in rows:
        models = each["models"]
        other = models.get(each["default"] if kind == "default" else kind)
        if other is not None and models["single"][figure] > 0:
            found.append(other[figure] / models["single"][figure] - 1)
    return found


def main() -> None:
    """Run what is missing, then print one line for each model."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("tables", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--data", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=5)
    asked, flags = parser.parse_known_args()
    lines = asked.output.read_text().splitlines() if asked.output.exists() else []
    rows = [json.loads(line) for line in lines]
    there = {(each["data"], each["seed"]) for each in rows}
    paths = sorted(asked.tables.glob("*.parquet"), key=lambda path: path.stat().st_size)
    for seed in range(asked.seeds):
        for path in paths:
            if (path.stem, seed) in there or (asked.data and path.stem not in asked.data):
                continue
            rows.append(row(path.stem, seed, launched(path, seed, flags)))
            with asked.output.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    print("| model | studies | test error | test loss |\n| --- | ---: | ---: | ---: |")
    for kind in KINDS:
        error, loss = (changes(rows, kind, figure) for figure in ("error", "loss"))
        if error and loss:
            print(f"| {kind} | {len(loss)} | {median(error):+.1%} | {median(loss):+.1%} |")


if __name__ == "__main__":
    main()
