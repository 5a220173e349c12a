"""Record what small studies would export: test figures, the default, coverage of intervals.

    python -m benchmarks.exported TABLES -o FILE [--data ...] [--seeds 0 1 2]
    python -m benchmarks.exported FILE

TABLES is a folder of Parquet files whose last column is the target. For each table and seed the
rows (5,000 at most) are shuffled, so that each seed has a test part of its own, and what a study
trains is trained in this process for fixed stacks: six search trials, five confirmation runs of the
best of them, and the models to export. A file of records alone is printed as two tables:
the change of the test error (1 - accuracy, or rmse) and loss against the single network, and the
percentage of test rows whose target lies in the interval; means over seeds and standard errors.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.launches import target_of
from benchmarks.table import machine, versions

QUANTITIES = ("concrete", "communities_crime", "abalone", "cpu_act", "california_housing")
CLASSES = ("pima_diabetes", "vehicle", "yeast", "satellite", "credit_scoring")
COVERAGES = (0.8, 0.9, 0.95)
EPOCHS, RUNS, MOST_ROWS = 30, 5, 5000
SHOWN = ("refit", "average", "ensemble", "default")


def stacks() -> list[Any]:
    """Return the stacks of the search."""
    from trainstack.spaces.stack import Stack

    common = {"optimizer": "adamw", "schedule": "cosine", "batch_size": 64}
    shapes: list[dict[str, Any]] = [
        {"units": [64, 64], "activation": "relu"},
        {"units": [128], "activation": "relu", "optimizer__learning_rate": 0.005},
        {"units": [32, 32, 32], "activation": "selu"},
        {"units": [128, 128], "activation": "relu", "dropout": "hidden"},
        {"units": [64, 64], "activation": "elu", "preparation": "robust_clip"},
        {"units": [96], "activation": "swish", "embedding": "piecewise"},
    ]
    return [Stack.of(**{"optimizer__learning_rate": 0.003, **common, **each}) for each in shapes]


def recorded(frame: pd.DataFrame, target: str, seed: int) -> dict[str, Any]:
    """Return the models' documents, the default, and by model the share of rows in intervals."""
    from tests.support.tasks_here import confirmed, measurement, searched
    from trainstack.search.cli.fold_options import default_folds
    from trainstack.search.data.load import load
    from trainstack.search.evidence.default_model import KINDS, default_model
    from trainstack.search.spec import StudySpec
    from trainstack.workers.tasks.jobs import JobBench
    from trainstack.workers.tasks.making import Maker
    from trainstack.workers.tasks.measure import confirmation_runs
    from trainstack.workers.tasks.models import measured, predictions, residuals

    documents: dict[str, Any] = {}
    shares: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "table.parquet"
        shuffled = frame.sample(frac=1, random_state=seed)[:MOST_ROWS]
        shuffled.reset_index(drop=True).to_parquet(path)
        dataset = load(str(path), target)
        asked = {"epochs": EPOCHS, "folds": default_folds(dataset), "seed": seed}
        spec = StudySpec("s", dataset.describe(), {}, **asked)
        bench = JobBench(spec, 0, name)
        trials = [searched(bench, stack, seed=k) for k, stack in enumerate(stacks())]
        best = min(trials, key=lambda trial: trial[1].value or 0.0)[0].stack
        assert best is not None
        wanted = measurement(best, [confirmed(bench, best, k) for k in range(RUNS)], trials)
        maker = Maker(bench, wanted, confirmation_runs(bench, wanted.runs[best.stack_id]))
        for kind in KINDS:
            made = maker.make(kind)
            if isinstance(made, str):
                continue
            errors, y = residuals(bench, made), made.network.split.y_test
            documents[kind], model = measured(bench, made, errors)
            if errors is not None:
                p = predictions(model, made.network.split.x_test).reshape(y.shape)
                ends = [errors.interval(p.astype(np.float64), each) for each in COVERAGES]
                shares[kind] = [float(np.mean((low <= y) & (y <= high))) for low, high in ends]
    default, _ = default_model(spec, documents)
    kept = {kind: _kept(document) for kind, document in documents.items()}
    return {"models": kept, "default": default, "shares": shares, "folds": spec.folds}


def _kept(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is recorded of a model's document."""
    weights = {f"{row['stack_id']}-{row['seed']}": row["weight"] for row in document["members"]}
    kept = ("test", "validation", "calibration")
    return {name: document[name] for name in kept if name in document} | {"weights": weights}


def figure(document: Mapping[str, Any], name: str) -> float:
    """Return a model's test loss or error."""
    test = document["test"]
    if name == "loss":
        return test["loss"][0]
    return test["rmse"][0] if "rmse" in test else 1 - test["accuracy"][0]


def mean_of(values: Iterable[float]) -> str:
    """Return a mean as text, with its standard error if there are several values."""
    found = list(values)
    if len(found) == 1:
        return f"{found[0]:.1f}"
    return f"{np.mean(found):.1f} ± {np.std(found, ddof=1) / len(found) ** 0.5:.1f}"


def changes(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of the first table: changes against the single network, in percent."""
    tables: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        tables[record["table"]].append(record)
    yield f"| table | folds | figure | {' | '.join(SHOWN)} | ensemble by default |"
    yield "| --- | ---: | --- |" + " ---: |" * (len(SHOWN) + 1)
    for table, found in tables.items():
        chosen = sum(record["default"] == "ensemble" for record in found)
        for name in ("error", "loss"):
            cells = []
            for kind in SHOWN:
                of = [record["default"] if kind == "default" else kind for record in found]
                pairs = [
                    (record["models"][model], record["models"]["single"])
                    for record, model in zip(found, of, strict=True)
                ]
                cells.append(
                    mean_of(100 * (figure(a, name) / figure(b, name) - 1) for a, b in pairs)
                )
            row = [table, str(found[0]["folds"]), name, *cells, f"{chosen} of {len(found)}"]
            yield f"| {' | '.join(row)} |"


def coverages(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of the second table."""
    found: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    for record in records:
        for model, shares in record["shares"].items():
            found[record["table"], model].append(shares)
        if record["shares"]:
            found[record["table"], "default"].append(record["shares"][record["default"]])
    yield f"| table | model | {' | '.join(f'{100 * each:.0f} %' for each in COVERAGES)} |"
    yield "| --- | --- |" + " ---: |" * len(COVERAGES)
    for (table, model), shares in found.items():
        cells = [mean_of(100 * share for share in column) for column in zip(*shares, strict=True)]
        yield f"| {table} | {model} | {' | '.join(cells)} |"


def main() -> None:
    """Record what the file does not hold yet, or print what was recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--data", nargs="*", default=[*QUANTITIES, *CLASSES])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    given = parser.parse_args()
    path: Path = given.output or given.source
    document: dict[str, Any] = {"machine": machine(), "versions": versions(), "records": []}
    if path.exists():
        document = json.loads(path.read_text("utf-8"))
    if given.output is None:
        print("\n".join([*changes(document["records"]), "", *coverages(document["records"])]))
        return
    known = {(record["table"], record["seed"]) for record in document["records"]}
    for seed in given.seeds:
        for data in given.data:
            if (data, seed) in known:
                continue
            frame = pd.read_parquet(given.source / f"{data}.parquet")
            found = recorded(frame, target_of(given.source, data), seed)
            document["records"].append({"table": data, "seed": seed, **found})
            path.write_text(json.dumps(document) + "\n", "utf-8")
            print(data, seed, found["default"], flush=True)


if __name__ == "__main__":
    main()
