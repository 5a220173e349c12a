"""The measured default and the portfolio, each judged on data sets that did not choose it.

    python -m benchmarks.atlas.defaults [FOLDER] [--task classification] [--size 10]

For each data set the default and the portfolio are chosen on the others of its task. The tables
give the default's test error relative to the chapter's default, and the regret after each trial.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.atlas.choosing import Losses, best_default, portfolio, reached
from benchmarks.atlas.records import FOLDER, of_task, runs

CHAPTER = "chapter-default"
REALMLP = "realmlp-td-s"


def main() -> None:
    """Print the tables of each task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--size", type=int, default=10)
    given = parser.parse_args()
    found = runs(given.folder)
    for task in ("classification", "regression"):
        mine = of_task(found, task)
        losses = Losses.of(mine, sorted({run.data for run in mine}))
        print("\n".join([f"## {task}: {len(losses.names)} stacks", *rows(losses, given.size)]))


def rows(losses: Losses, size: int) -> list[str]:
    """Return the lines about one task."""
    chapter, realmlp = losses.names.index(CHAPTER), losses.names.index(REALMLP)
    lines = ["| data | chosen on the others | error / chapter's | realmlp-td-s / chapter's |"]
    lines.append("| --- | --- | ---: | ---: |")
    ratios, after = [], []
    for place, name in enumerate(losses.data):
        rest = losses.without(place)
        best = best_default(rest)
        error = losses.error[place]
        ratios.append((error[best] / error[chapter], error[realmlp] / error[chapter]))
        lines.append(
            f"| {name} | {losses.names[best]} | {ratios[-1][0]:.3f} | {ratios[-1][1]:.3f} |"
        )
        order = portfolio(rest, size)
        after.append(reached(losses, place, order + [order[-1]] * (size - len(order))))
    middle = np.median(ratios, axis=0)
    lines.append(f"| median | | {middle[0]:.3f} | {middle[1]:.3f} |")
    whole = [losses.names[k] for k in portfolio(losses, size)]
    lines.append(
        "mean regret after each trial of the portfolio, left out: "
        + " ".join(f"{x:.3f}" for x in np.mean(after, axis=0))
    )
    mean = losses.regret.mean(axis=0)
    lines.append(
        "least mean regret: "
        + ", ".join(f"{losses.names[k]} {mean[k]:.3f}" for k in mean.argsort()[:12])
    )
    lines.append(f"{CHAPTER} {mean[chapter]:.3f}, {REALMLP} {mean[realmlp]:.3f}")
    lines.append("portfolio of all: " + ", ".join(whole))
    return lines


if __name__ == "__main__":
    main()
