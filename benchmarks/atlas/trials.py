"""What a search chooses after a number of trials, replayed on the recorded runs.

    python -m benchmarks.atlas.trials [FOLDER] [--orders 500]

A search takes recorded stacks in random order, from the start or after the two defaults, of which
the measured one is chosen on the other data sets, and chooses the stack with the least validation
loss so far. Its test error (the share of wrong classes, or the root mean squared error) is given as
a share of what the search in random order has after 60 trials, as a geometric mean over the data
sets with more than 60 recorded stacks and over random orders. Nothing is pruned, and no sampler
learns: what one would propose has no recorded curve.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.atlas.choosing import REALMLP, Losses, chosen_by_others
from benchmarks.atlas.records import BASELINE, FOLDER, Run, by_task, runs

# Trials of the search whose test error is the unit.
LONG = 60
SHOWN = (1, 2, 4, 8, 10, 20, 40, LONG)


@dataclass(frozen=True, eq=False)
class Table:
    """The recorded stacks of a data set, each with its first seed.

    Attributes:
        data: Name of the data set.
        valid: Validation losses, [S].
        error: Test errors, [S].
        first: Places of the chapter's default and of the default that the other data sets choose.
    """

    data: str
    valid: np.ndarray
    error: np.ndarray
    first: tuple[int, ...]

    def choices(self, order: np.ndarray) -> np.ndarray:
        """Return the logarithm of the chosen stack's test error after each trial, [S]."""
        best = np.minimum.accumulate(self.valid[order])
        improves = self.valid[order] <= best
        place = np.maximum.accumulate(np.where(improves, np.arange(len(order)), 0))
        return np.log(self.error[order][place])

    def orders(self, count: int, defaults_first: bool) -> list[np.ndarray]:
        """Return random orders of the stacks, always the same, with the defaults first or not."""
        rng = np.random.default_rng(0)
        drawn = [rng.permutation(len(self.valid)) for _ in range(count)]
        if not defaults_first:
            return drawn
        return [np.concatenate([self.first, o[~np.isin(o, self.first)]]) for o in drawn]


def tables(found: Sequence[Run]) -> list[Table]:
    """Return the tables of the data sets with more than LONG recorded stacks."""
    made = []
    for mine in by_task(found).values():
        for data, default in chosen_by_others(mine).items():
            own = [run for run in mine if run.data == data and run.seed == 0 and run.finished]
            losses = Losses.of([run for run in own if run.name != REALMLP], [data])
            if len(losses.names) <= LONG:
                continue
            first = tuple(losses.names.index(name) for name in (BASELINE, default))
            made.append(Table(data, losses.valid[0], losses.error[0], first))
    return made


def by_trials(table: Table, orders: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean logarithms of errors after 1 to LONG trials, in random order, defaults first.

    Those of the random order end at 0.
    """
    means = [
        np.mean([table.choices(order)[:LONG] for order in table.orders(orders, first)], axis=0)
        for first in (False, True)
    ]
    return means[0] - means[0][-1], means[1] - means[0][-1]


def lines(found: Sequence[Run], orders: int) -> list[str]:
    """Return the comparison as text."""
    made = tables(found)
    each = [by_trials(table, orders) for table in made]
    random, led = (np.mean([pair[k] for pair in each], axis=0) for k in range(2))
    text = ["| trials | " + " | ".join(map(str, SHOWN)) + " |"]
    text.append("| --- |" + " ---: |" * len(SHOWN))
    for name, curve in (("in random order", random), ("defaults first", led)):
        cells = (f"{np.exp(curve[number - 1]):.3f}" for number in SHOWN)
        text.append(f"| {name} | " + " | ".join(cells) + " |")
    reached = np.flatnonzero(led <= 0.0)
    when = f"after {reached[0] + 1} trials" if len(reached) else f"in more than {LONG} trials"
    names = ", ".join(table.data for table in made)
    return [*text, "", f"defaults first reaches the unit {when}", f"data sets: {names}"]


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--orders", type=int, default=500)
    given = parser.parse_args()
    print("\n".join(lines(runs(given.folder), given.orders)))


if __name__ == "__main__":
    main()
