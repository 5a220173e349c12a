"""The stack with the least regret over data sets, and the portfolio with which a search starts.

Both are pure functions of a table of losses. The regret of a stack on a data set is the logarithm
of its test loss over the least of all stacks there, so that losses of different units count alike.

Reference: Feurer et al., "Auto-Sklearn 2.0", 2022 (a greedy portfolio over data sets); Holzmüller
et al., "Better by Default", 2024 (defaults tuned on many data sets).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.atlas.records import Run

# Regret of a stack that diverged, and the most that counts: e² = 7.4 times the least loss.
MOST_REGRET = 2.0


@dataclass(frozen=True, eq=False)
class Losses:
    """Losses of the same stacks on several data sets, means over seeds.

    Attributes:
        data: Names of the data sets.
        names: Names of the stacks.
        valid: Validation losses [D, S]; infinite where a run diverged.
        test: Test losses [D, S], likewise.
        error: Shares of wrong classes, or root mean squared errors, on the test part [D, S].
    """

    data: tuple[str, ...]
    names: tuple[str, ...]
    valid: np.ndarray
    test: np.ndarray
    error: np.ndarray

    @classmethod
    def of(cls, runs: Sequence[Run], data: Sequence[str], seeds: Sequence[int] = (0,)) -> Losses:
        """Return the losses of the stacks that are recorded on all of some data sets.

        Args:
            runs: Recorded runs.
            data: Names of the data sets.
            seeds: The seeds whose runs count; a stack needs one of them.
        """
        cells: dict[tuple[str, str], list[Run]] = defaultdict(list)
        for run in runs:
            if run.seed in seeds:
                cells[run.data, run.name].append(run)
        names = sorted({run.name for run in runs})
        names = [name for name in names if all((d, name) in cells for d in data)]

        def table(of: str, what: str) -> np.ndarray:
            return np.array(
                [[_mean(cells[d, name], of, what) for name in names] for d in data], np.float64
            ).reshape(len(data), len(names))

        error = "accuracy" if any("accuracy" in run.test for run in runs) else "rmse"
        found = table("test", error)
        found = 1.0 - found if error == "accuracy" else found
        found[~np.isfinite(table("test", "loss"))] = np.inf
        return cls(tuple(data), tuple(names), table("valid", "loss"), table("test", "loss"), found)

    def without(self, place: int) -> Losses:
        """Return the losses without a data set."""
        rest = [k for k in range(len(self.data)) if k != place]
        names = tuple(self.data[k] for k in rest)
        return Losses(names, self.names, self.valid[rest], self.test[rest], self.error[rest])

    @property
    def regret(self) -> np.ndarray:
        """Regret of each stack on each data set [D, S], from 0 to MOST_REGRET."""
        least = self.test.min(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.log(self.test) - np.log(least)
        return np.clip(np.nan_to_num(found, nan=MOST_REGRET, posinf=MOST_REGRET), 0, MOST_REGRET)


def best_default(losses: Losses) -> int:
    """Return the place of the stack with the least mean regret."""
    return int(losses.regret.mean(axis=0).argmin())


def portfolio(losses: Losses, size: int) -> list[int]:
    """Return the places of stacks in an order in which stopping anywhere is good.

    Each is the one that most lowers the mean regret of the stack that a search would choose among
    those before it and itself: the one with the least validation loss.

    Args:
        losses: The losses.
        size: Number of stacks; fewer if no further one lowers the regret.
    """
    regret, chosen = losses.regret, []
    held = np.full(len(losses.data), np.inf)  # validation loss of the choice so far
    reached = np.full(len(losses.data), MOST_REGRET)
    while len(chosen) < size:
        better = losses.valid < held[:, None]
        after = np.where(better, regret, reached[:, None]).mean(axis=0)
        after[chosen] = np.inf
        best = int(after.argmin())
        if chosen and after[best] >= reached.mean():
            break
        chosen.append(best)
        reached = np.where(better[:, best], regret[:, best], reached)
        held = np.minimum(held, losses.valid[:, best])
    return chosen


def reached(losses: Losses, place: int, order: Sequence[int]) -> np.ndarray:
    """Return the regret on one data set after each trial of a search that tries stacks in order."""
    valid, regret = losses.valid[place, order], losses.regret[place, order]
    best = [int(valid[: k + 1].argmin()) for k in range(len(order))]
    return regret[best]


def _mean(runs: Sequence[Run], of: str, what: str) -> float:
    values = [getattr(run, of).get(what) if run.finished else None for run in runs]
    found = [np.inf if value is None else value for value in values]
    return float(np.mean(found)) if found else np.inf
