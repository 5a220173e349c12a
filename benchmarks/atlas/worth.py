"""The worth of single choices: variants of RealMLP's small form against it, in pairs.

    python -m benchmarks.atlas.worth [FOLDER]

For each data set on which both arms are recorded at three learning rates, each takes the one with
the least validation loss; compared are the test errors (share of wrong classes, or root mean
squared error) of the same splits. Data sets are the unit: the tables, one for each task and one for
all data sets, give the mean of the relative differences (Student's t for the interval) and the
number of data sets on which the variant is better.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.atlas.choosing import error
from benchmarks.atlas.records import FOLDER, Run, by_task, runs
from benchmarks.atlas.stacks import RATES

PREFIX, SAME = "realmlp/", "same"


@dataclass(frozen=True)
class Worth:
    """The worth of a variant.

    Attributes:
        name: Name of the variant.
        change: Mean over data sets of the logarithm of its error over that of RealMLP's form.
        half: Half of the 95 % interval of the mean; infinite for a single data set.
        better: Number of data sets on which its error is lower.
        data: Number of data sets.
    """

    name: str
    change: float
    half: float
    better: int
    data: int


def tuned(found: Sequence[Run]) -> dict[tuple[str, str], Run]:
    """Return (data, variant) → the run of its best learning rate, by the validation loss.

    Variants without a run at each of the RATES are left out.
    """
    best: dict[tuple[str, str], Run] = {}
    rates: dict[tuple[str, str], int] = defaultdict(int)
    for run in found:
        if not run.name.startswith(PREFIX) or run.seed != 0:
            continue
        key = run.data, run.name.removeprefix(PREFIX).rsplit("@")[0]
        rates[key] += 1
        if not run.finished:  # a rate that diverges is tried and not taken
            continue
        if key not in best or run.valid["loss"] < best[key].valid["loss"]:
            best[key] = run
    return {key: run for key, run in best.items() if rates[key] == len(RATES)}


def worths(found: Sequence[Run]) -> list[Worth]:
    """Return each variant's worth over the data sets that have it, the best first."""
    best, changes = tuned(found), defaultdict(list)
    for (data, name), run in best.items():
        base = best.get((data, SAME))
        if base is not None and name != SAME and error(base.test) > 0 and error(run.test) > 0:
            changes[name].append(float(np.log(error(run.test) / error(base.test))))
    rows = []
    for name, values in changes.items():
        half = np.inf
        if len(values) > 1:
            quantile = stats.t.ppf(0.975, len(values) - 1)
            half = float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))
        better = sum(value < 0 for value in values)
        rows.append(Worth(name, float(np.mean(values)), half, better, len(values)))
    return sorted(rows, key=lambda row: row.change)


def main() -> None:
    """Print a table for each task, and one for all data sets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    found = runs(parser.parse_args().folder)
    for task, mine in {**by_task(found), "both": found}.items():
        print(f"| {task} | error | 95 % interval | better |\n| --- | ---: | --- | ---: |")
        for row in worths(mine):
            low, high = (100 * np.expm1(row.change + sign * row.half) for sign in (-1, 1))
            print(
                f"| `{row.name}` | {100 * np.expm1(row.change):+.1f} % | {low:+.1f} to {high:+.1f} "
                f"| {row.better} of {row.data} |"
            )


if __name__ == "__main__":
    main()
