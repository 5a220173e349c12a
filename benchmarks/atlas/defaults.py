"""The measured default and the portfolio, each judged on data sets that did not choose it.

    python -m benchmarks.atlas.defaults [FOLDER] [--task classification] [--size 10]

For each data set the default and the portfolio are chosen on the others of its task. Errors are
shares of wrong classes or root mean squared errors on the test part, as shares of the chapter's
default's. The default is one of the stacks that were recorded with every seed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.atlas.choosing import (
    REALMLP,
    best_default,
    finalists,
    portfolio,
    reached,
    with_default,
)
from benchmarks.atlas.records import BASELINE, FOLDER, Run, by_task, runs_of_all


def main() -> None:
    """Print the tables of each task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--size", type=int, default=10)
    given = parser.parse_args()
    for task, mine in by_task(runs_of_all(given.folder)).items():
        print("\n".join([f"## {task}", "", *left_out(mine, given.size), "", *best(mine), ""]))


def left_out(found: Sequence[Run], size: int) -> list[str]:
    """Return the table of what each data set gets from the others, and the portfolio's regrets."""
    losses, _ = with_default(found)
    among = finalists(found, losses.data)
    chapter, realmlp = losses.names.index(BASELINE), losses.names.index(REALMLP)
    lines = ["| data | chosen on the others | its error | realmlp-td-s |"]
    lines.append("| --- | --- | ---: | ---: |")
    shares, after = [], []
    for place, name in enumerate(losses.data):
        rest = losses.without(place)
        first = best_default(rest, among)
        mine, other = losses.error[place, [first, realmlp]]
        shares.append((mine, other))
        lines.append(f"| {name} | `{losses.names[first]}` | {mine:.2f} | {other:.2f} |")
        order = portfolio(rest, size, (chapter, first), among)
        after.append(reached(losses, order + [order[-1]] * (size - len(order)))[place])
    middle = np.median(shares, axis=0)
    lines += [f"| median | | {middle[0]:.3f} | {middle[1]:.3f} |", ""]
    means = " ".join(f"{regret:.3f}" for regret in np.mean(after, axis=0))
    return [*lines, f"mean regret after each trial of a portfolio of the others: {means}"]


def best(found: Sequence[Run]) -> list[str]:
    """Return the table of the stacks by their mean regrets over all data sets."""
    losses, _ = with_default(found)
    mean = losses.regret.mean(axis=0)
    spread = losses.regret.std(axis=0, ddof=1) / np.sqrt(len(losses.data))
    lines = ["| stack | seeds | mean regret | standard error | error, median |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    seeds = Counter((run.data, run.name) for run in found)
    for k in mean.argsort():
        name, error = losses.names[k], np.median(losses.error[:, k])
        count = min(seeds[data, name] for data in losses.data)
        lines.append(f"| `{name}` | {count} | {mean[k]:.3f} | {spread[k]:.3f} | {error:.3f} |")
    return lines


if __name__ == "__main__":
    main()
