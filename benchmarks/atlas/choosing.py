"""The stack with the least regret over data sets, and the portfolio with which a search starts.

Both are pure functions of a table of losses. The regret of a stack on a data set is the logarithm
of its test loss over the least of all stacks there, and the same of its test error (the share of
wrong classes, or the root mean squared error), in halves: users look at both.

Reference: Feurer et al., "Auto-Sklearn 2.0", 2022 (a greedy portfolio over data sets); Holzmüller
et al., "Better by Default", 2024 (defaults tuned on many data sets).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.atlas.records import BASELINE, Run

# Recorded for comparison, and not to be chosen: `realmlp/same@1` with the original's batch size.
REALMLP = "realmlp-td-s"

# Regret of a stack that diverged, and the most that counts: e² = 7.4 times the least loss.
MOST_REGRET = 2.0
# Least mean regret by which a further stack of a portfolio lowers that of those before it.
LEAST_GAIN = 0.005
# Least share of the chapter's error: a test part may have no wrong answer at all.
LEAST_SHARE = 0.01


@dataclass(frozen=True, eq=False)
class Losses:
    """Losses of the same stacks on several data sets, as shares of the chapter's default's.

    A share is that of the sums over the seeds that a stack has, which are the same for both, so
    that stacks with different numbers of seeds can be compared.

    Attributes:
        data: Names of the data sets.
        names: Names of the stacks.
        valid: Validation losses [D, S]; infinite where a run diverged.
        test: Test losses [D, S], likewise.
        error: Shares of wrong classes, or root mean squared errors, on the test part [D, S],
            likewise.
    """

    data: tuple[str, ...]
    names: tuple[str, ...]
    valid: np.ndarray
    test: np.ndarray
    error: np.ndarray

    @classmethod
    def of(cls, runs: Sequence[Run], data: Sequence[str], seeds: int = 1) -> Losses:
        """Return the losses of the stacks that are recorded on all of some data sets.

        Args:
            runs: Recorded runs, with those of the chapter's default for every seed.
            data: Names of the data sets.
            seeds: Least number of seeds of a stack on each data set.
        """
        cells: dict[tuple[str, str], dict[int, Run]] = defaultdict(dict)
        for run in runs:
            cells[run.data, run.name][run.seed] = run
        names = sorted({run.name for run in runs})
        names = [name for name in names if all(len(cells[d, name]) >= seeds for d in data)]

        def table(figure: Callable[[Run], float]) -> np.ndarray:
            shares = [
                [_share(cells[d, s], cells[d, BASELINE], figure) for s in names] for d in data
            ]
            return np.array(shares, np.float64).reshape(len(data), len(names))

        tables = (table(figure) for figure in (_valid, _test, _error))
        return cls(tuple(data), tuple(names), *tables)

    def without(self, place: int) -> Losses:
        """Return the losses without a data set."""
        rest = [k for k in range(len(self.data)) if k != place]
        names = tuple(self.data[k] for k in rest)
        return Losses(names, self.names, self.valid[rest], self.test[rest], self.error[rest])

    @property
    def regret(self) -> np.ndarray:
        """Regret of each stack on each data set [D, S], from 0 to MOST_REGRET."""
        return (_above_least(self.test) + _above_least(self.error)) / 2


def best_default(losses: Losses, among: Sequence[str]) -> int:
    """Return the place of the stack with the least mean regret among those of some names."""
    mean = losses.regret.mean(axis=0)
    return min((k for k, name in enumerate(losses.names) if name in among), key=mean.__getitem__)


def finalists(runs: Sequence[Run], data: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the stacks that may be chosen.

    They have every seed on all of some data sets, and smooth no labels, as no search by the log
    loss does.
    """
    names = Losses.of(runs, data, seeds=len({run.seed for run in runs})).names
    left_out = {REALMLP} | {run.name for run in runs if run.stack.get("label_smoothing")}
    return tuple(name for name in names if name not in left_out)


def with_default(runs: Sequence[Run]) -> tuple[Losses, int]:
    """Return the losses on the data sets of some runs, and the place of the default by them."""
    data = sorted({run.data for run in runs})
    losses = Losses.of(runs, data)
    return losses, best_default(losses, finalists(runs, data))


def chosen_by_others(runs: Sequence[Run]) -> dict[str, str]:
    """Return for each data set of some runs the name of the default that the others choose."""
    data = sorted({run.data for run in runs})
    losses, among = Losses.of(runs, data), finalists(runs, data)
    return {
        name: losses.names[best_default(losses.without(place), among)]
        for place, name in enumerate(data)
    }


def kept(losses: Losses, incumbent: int, best: int) -> int:
    """Return the place of the default, if another stack has been it so far.

    The incumbent stays unless the best one's mean regret is lower by more than the standard error
    of that difference over the data sets: a default should not change by chance.
    """
    gain = losses.regret[:, incumbent] - losses.regret[:, best]
    doubt = float(gain.std(ddof=1)) / len(gain) ** 0.5
    return best if gain.mean() > doubt else incumbent


def portfolio(losses: Losses, size: int, first: Sequence[int], among: Sequence[str]) -> list[int]:
    """Return the places of stacks in an order in which stopping anywhere is good.

    Each is the one that most lowers the mean regret of the stack that a search would choose among
    those before it and itself: the one with the least validation loss.

    Args:
        losses: The losses.
        size: Number of stacks; fewer if no further one lowers the regret.
        first: Places of the stacks with which the search starts in any case.
        among: Names of the stacks that may follow.
    """
    regret, chosen = losses.regret, list(first)
    barred = [k for k, name in enumerate(losses.names) if name not in among]
    while len(chosen) < size:
        held = losses.valid[:, chosen].min(axis=1)
        now = reached(losses, chosen)[:, -1]
        after = np.where(losses.valid < held[:, None], regret, now[:, None]).mean(axis=0)
        after[[*chosen, *barred]] = np.inf
        best = int(after.argmin())
        if after[best] > now.mean() - LEAST_GAIN:
            break
        chosen.append(best)
    return chosen


def reached(losses: Losses, order: Sequence[int]) -> np.ndarray:
    """Return the regret on each data set after each trial of a search that tries stacks in order.

    Returns:
        [D, trials].
    """
    valid, regret = losses.valid[:, order], losses.regret[:, order]
    best = [valid[:, : k + 1].argmin(axis=1) for k in range(len(order))]
    return np.stack([regret[np.arange(len(regret)), places] for places in best], axis=1)


def _above_least(table: np.ndarray) -> np.ndarray:
    """Return the logarithm of figures [D, S] over the least of each row, up to MOST_REGRET."""
    known = np.log(np.maximum(table, LEAST_SHARE))
    return np.minimum(known - known.min(axis=1, keepdims=True), MOST_REGRET)


def error(test: Mapping[str, float]) -> float:
    """Return the share of wrong classes, or the root mean squared error, of test figures."""
    return 1.0 - test["accuracy"] if "accuracy" in test else test["rmse"]


def _valid(run: Run) -> float:
    return run.valid["loss"]


def _test(run: Run) -> float:
    return run.test["loss"]


def _error(run: Run) -> float:
    return error(run.test)


def _share(
    mine: Mapping[int, Run], base: Mapping[int, Run], figure: Callable[[Run], float]
) -> float:
    """Return the sum of a figure over a stack's seeds as a share of the base's; infinite if a run
    of the stack did not finish."""
    if not all(run.finished for run in mine.values()):
        return np.inf
    return sum(map(figure, mine.values())) / sum(figure(base[seed]) for seed in mine)
