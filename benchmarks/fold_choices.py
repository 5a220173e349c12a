"""How good the choice of a search is with one split, and with the mean over folds.

    python -m benchmarks.fold_choices FOLDS.jsonl … [--stacks 12]

Every division stands for a search that trains all stacks and chooses the one with the lowest score.
The truth about a stack is its mean loss over all other divisions. A single fold stands for an
ordinary split, since it also holds out a random fifth. The search ends either there, or with a
confirmation of its best four stacks on five new splits, as the product's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.fold_tables import FoldTable, read
from benchmarks.folds import FOLDS

BEST = 3
CANDIDATES, REPLICATES = 4, 5


def scores(losses: np.ndarray, division: int, used: int) -> Iterator[np.ndarray]:
    """Yield the stacks' scores over every choice of `used` folds of a division, [stacks].

    More folds than a division has continue in the next one.
    """
    if used > FOLDS:
        rest = list(scores(losses, (division + 1) % losses.shape[1], used - FOLDS))
        yield (FOLDS * losses[:, division].mean(1) + (used - FOLDS) * rest[0]) / used
        return
    for folds in combinations(range(FOLDS), used):
        yield losses[:, division, list(folds)].mean(1)


def confirmed(losses: np.ndarray, score: np.ndarray, division: int) -> int:
    """Return the best of the candidates on splits of other divisions.

    Args:
        losses: [stacks, divisions, folds].
        score: The stacks' scores in the search, [stacks]; those without a finite one are left out.
        division: The search's division.
    """
    entrants = [k for k in np.argsort(score)[:CANDIDATES] if np.isfinite(score[k])]
    others = [(division + 1 + k) % losses.shape[1] for k in range(REPLICATES)]
    return int(entrants[losses[entrants][:, others, 0].mean(1).argmin()])


def row(table: FoldTable, used: int) -> tuple[float, ...]:
    """Return how often the choice is the best, how often one of the best three, and its regret.

    Regret is the choice's true loss above the best stack's, as a share of it. The last two are
    regrets and shares of the best three after a confirmation.
    """
    truth, found = table.truth(), []
    for division, true in enumerate(truth):
        order = np.argsort(true)
        for score in scores(table.losses, division, used):
            chosen, after = int(score.argmin()), confirmed(table.losses, score, division)
            found.append(
                (
                    chosen == order[0],
                    chosen in order[:BEST],
                    true[chosen] / true[order[0]] - 1,
                    after in order[:BEST],
                    true[after] / true[order[0]] - 1,
                )
            )
    return tuple(np.mean(found, axis=0))


def main() -> None:
    """Print a row for each data set and number of folds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folds", type=Path, nargs="+")
    parser.add_argument("--stacks", type=int, default=12)
    arguments = parser.parse_args()
    print(
        "data | rows | divisions | folds | best chosen | of the best 3 | regret | "
        "confirmed: of the best 3 | regret | s per stack"
    )
    for table in sorted(read(arguments.folds, arguments.stacks), key=lambda table: table.rows):
        for used in (1, 2, 3, 5, 10):
            best, three, regret, after, left = row(table, used)
            print(
                f"{table.data} | {table.rows} | {table.curves.shape[1]} | {used} | {best:.0%} | "
                f"{three:.0%} | {regret:.2%} | {after:.0%} | {left:.2%} | "
                f"{used * table.seconds.mean():.2f}"
            )


if __name__ == "__main__":
    main()
