"""Compare the models that studies can export by their test errors.

    python -m benchmarks.delivering FOLDER [TABLES]

FOLDER holds launches that `benchmarks.launches` recorded. The change of the test error
(1 - accuracy, or rmse) and of the test loss against the single network is a mean over a table's
seeds; the table gives the median over the data sets with the interval of the middle 95 % of 10,000
bootstrap samples of the data sets (Efron and Tibshirani 1993, section 13.3).

With TABLES, a folder of Parquet files, the model that is exported by default is also compared with
gradient boosting that is fitted on the same rows, all that are not for testing: the report's has
the training rows only.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.launches import TASKS, read, target_of
from trainstack.search.data.load import load
from trainstack.search.spec import StudySpec
from trainstack.workers.tasks.metrics import Scorer
from trainstack.workers.tasks.yardstick import yardstick

KINDS = ("refit", "average", "ensemble", "default")
FIGURES = ("error", "loss")
SAMPLES = 10_000


def figure(test: Mapping[str, Any], name: str) -> float:
    """Return the loss of a model's test scores, or its error."""
    if name == "loss":
        return test["loss"]["mean"]
    return test["rmse"]["mean"] if "rmse" in test else 1 - test["accuracy"]["mean"]


def changes(records: Iterable[Mapping[str, Any]], kind: str, name: str) -> dict[str, float]:
    """Return each table's mean relative change of a figure against the single network."""
    found: dict[str, list[float]] = defaultdict(list)
    for record in records:
        models = record["found"]["models"]
        other = models[models["default"] if kind == "default" else kind]
        single = figure(models["single"]["test"], name)
        if other is not None and single > 0:
            found[record["table"]].append(figure(other["test"], name) / single - 1)
    return {table: fmean(values) for table, values in found.items()}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the bootstrap interval of a median.

    >>> interval([1.0, 1.0, 1.0])
    (1.0, 1.0)
    """
    draws = np.random.default_rng(0).choice(values, (SAMPLES, len(values)))
    low, high = np.quantile(np.median(draws, axis=1), (0.025, 0.975))
    return float(low), float(high)


def boosted(tables: Path, data: str) -> dict[str, float]:
    """Return the test figures of gradient boosting on all rows that are not for testing."""
    table = str(tables / f"{data}.parquet")
    dataset = load(table, target_of(tables, data), TASKS.get(data, "auto"))
    spec = StudySpec("boosted", dataset.describe(), {"axes": {}})
    found = yardstick(Scorer.of(spec, dataset.whole()), asked=True, threads=0)
    return found["test"]


def against_boosting(records: Sequence[Mapping[str, Any]], tables: Path) -> None:
    """Print a line for each table: the loss of the default model, and that of boosting."""
    of_table: dict[str, list[float]] = defaultdict(list)
    for record in records:
        models = record["found"]["models"]
        of_table[record["table"]].append(figure(models[models["default"]]["test"], "loss"))
    print("\n| data | launches | exported by default | boosting on the same rows | ratio |")
    print("| --- | ---: | ---: | ---: | ---: |")
    ratios = []
    for data, losses in of_table.items():
        ours, theirs = fmean(losses), boosted(tables, data)["loss"]
        ratios.append(ours / theirs)
        print(f"| {data} | {len(losses)} | {ours:.4f} | {theirs:.4f} | {ratios[-1]:.2f} |")
    print(f"\nless loss than boosting: {sum(r < 1 for r in ratios)} of {len(ratios)} tables")


def main() -> None:
    """Print one line for each kind of model and task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tables", type=Path, nargs="?")
    given = parser.parse_args()
    records = list(read(given.folder))
    tasks = {
        "classification": [each for each in records if "rmse" not in each["found"]["test"]],
        "regression": [each for each in records if "rmse" in each["found"]["test"]],
    }
    print("| task | model | data sets | launches | test error | test loss |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for task, there in tasks.items():
        for kind in KINDS:
            found = [list(changes(there, kind, name).values()) for name in FIGURES]
            if not found[0]:
                continue
            cells = []
            for values in found:
                low, high = interval(values)
                cells.append(f"{np.median(values):+.1%} ({low:+.1%} to {high:+.1%})")
            print(f"| {task} | {kind} | {len(found[0])} | {len(there)} | {' | '.join(cells)} |")
    if given.tables:
        against_boosting(records, given.tables)


if __name__ == "__main__":
    main()
