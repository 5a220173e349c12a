"""Train pytabkit's RealMLP-TD-S on the splits that `benchmarks.realmlp splits` wrote.

    python -m benchmarks.realmlp_reference SPLITS -o REFERENCE.jsonl

It runs in an environment of its own with pytabkit (and torch), not in the project's. Each line of
the output is one seed of one data set: the test error, and the error on the validation part. Runs
that the file already holds are not repeated.

Reference: Holzmüller, Grinsztajn and Steinwart, "Better by Default: Strong Pre-Tuned MLPs and
Boosted Trees on Tabular Data", 2024.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np


def run(frame: Any, y: np.ndarray, rows: dict[str, Any], seed: int, task: str) -> dict[str, float]:
    """Train on a split; return the errors: the share of wrong classes, or the RMSE."""
    from pytabkit import (  # pyright: ignore[reportMissingImports]
        RealMLP_TD_S_Classifier,
        RealMLP_TD_S_Regressor,
    )

    kind = RealMLP_TD_S_Classifier if task == "classification" else RealMLP_TD_S_Regressor
    network = kind(random_state=seed, n_threads=1, device="cpu")
    both = np.concatenate([rows["train"], rows["valid"]])
    held = np.arange(len(rows["train"]), len(both))
    began = time.perf_counter()
    network.fit(frame.iloc[both], y[both], val_idxs=held)
    seconds = time.perf_counter() - began
    errors = {
        part: error(y[rows[part]], network.predict(frame.iloc[rows[part]]), task)
        for part in ("valid", "test")
    }
    return {**errors, "seconds": seconds}


def error(y: np.ndarray, found: np.ndarray, task: str) -> float:
    """Return the share of wrong classes, or the root mean squared error."""
    if task == "classification":
        return float(np.mean(y != found))
    return float(np.sqrt(np.mean(np.square(y - found))))


def main() -> None:
    """Train every seed of every data set that the output file does not hold."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("splits", type=Path)
    parser.add_argument("-o", type=Path, required=True)
    arguments = parser.parse_args()
    done = set()
    if arguments.o.exists():
        rows = map(json.loads, arguments.o.read_text().splitlines())
        done = {(row["data"], row["seed"]) for row in rows}
    versions = {name: version(name) for name in ("pytabkit", "torch")}
    with arguments.o.open("a") as file:
        for path in sorted(arguments.splits.glob("*.json"), key=lambda path: path.stat().st_size):
            plan = json.loads(path.read_text())
            frame = pd.read_parquet(path.with_suffix(".parquet"))
            y = frame.pop("target").to_numpy()
            for seed, rows in enumerate(plan["splits"]):
                if (path.stem, seed) in done:
                    continue
                found = run(frame, y, rows, seed, plan["task"])
                line = {"data": path.stem, "seed": seed, **found, **versions}
                file.write(json.dumps(line) + "\n")
                file.flush()


if __name__ == "__main__":
    main()
