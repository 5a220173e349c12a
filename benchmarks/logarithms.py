"""Measure what training on the logarithm of a target does to errors in the target's unit.

    python -m benchmarks.logarithms TABLES

TABLES is a folder of Parquet files whose last column is the target. The chapter's default is
trained on each regression table, with and without the logarithm, on SEEDS splits of 30 epochs. It
prints the means on the test part, and the skewness that `--target-transform auto` decides by.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

SEEDS, EPOCHS = (1, 2, 3), 30


def errors(path: Path, target: str, transform: str, folder: str) -> np.ndarray:
    """Return root mean squared and mean absolute error on the test part, means over the seeds."""
    from sklearn.metrics import mean_absolute_error, root_mean_squared_error

    from trainstack.search.data.load import load
    from trainstack.search.folds import SplitId
    from trainstack.search.spec import StudySpec
    from trainstack.spaces.references import CHAPTER_DEFAULT
    from trainstack.spaces.space import Space
    from trainstack.workers.engine.bench import Bench
    from trainstack.workers.messages import Kept

    data = load(str(path), target, "regression", transform=transform).describe()
    spec = StudySpec("log", data, Space.named("chapter").to_json(), epochs=EPOCHS)
    bench = Bench(spec, 0, folder)
    found = []
    for seed in SEEDS:
        program, split = bench.weights(CHAPTER_DEFAULT, Kept(seed, SplitId(seed), ""))
        outputs = split.measurable(program.outputs(split.prepare(split.x_test)))
        predicted = outputs[:, 0].astype(float) * split.y_scale + split.y_mean
        each = root_mean_squared_error, mean_absolute_error
        found.append([error(split.y_test, predicted) for error in each])
    return np.mean(found, axis=0)


def row(path: Path, target: str, y: Any, folder: str) -> str:
    """Return one line of the table."""
    from scipy.stats import skew

    from trainstack.search.data.target_transform import wants_log

    head = f"| {path.stem} | {skew(y):.2f} | {skew(np.log(y)):.2f} | {wants_log(y)} |"
    plain, log = (errors(path, target, transform, folder) for transform in ("none", "log"))
    return f"{head} {plain[0]:.4g} | {log[0] / plain[0] - 1:+.1%} | {log[1] / plain[1] - 1:+.1%} |"


def main() -> None:
    """Print one line for each regression table with a positive target."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path)
    tables: Path = parser.parse_args().tables
    print("| table | skewness | of the logarithm | auto | rmse | rmse with log | mae with log |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(tables.glob("*.parquet")):
            column = pd.read_parquet(path).iloc[:, -1].dropna()
            if pd.api.types.is_numeric_dtype(column) and column.nunique() > 25 and column.min() > 0:
                y = column.to_numpy(float)
                print(row(path, str(column.name), y, folder), flush=True)


if __name__ == "__main__":
    main()
