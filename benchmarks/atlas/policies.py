"""Pruning rules and first trials, compared by searches replayed on the recorded runs.

    python -m benchmarks.atlas.policies [FOLDER] [--orders 200]

A search takes recorded stacks in random order, after the two defaults or not; the measured default
is chosen on the other data sets. Rules are compared after equal times: those in which a search
without pruning finishes 5, 10 and 20 trials on average. Regret, as in `benchmarks.atlas.choosing`,
is that of the stack with the least validation loss so far; *ended* is the number of trials that
have ended by the last time, and *worse* the share of searches whose choice then has a higher test
loss than their first trial.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.atlas.choosing import REALMLP, Losses, chosen_by_others
from benchmarks.atlas.records import BASELINE, FOLDER, Run, by_task, runs
from benchmarks.atlas.simulation import Ended, Trial, chosen, search
from trainstack.search.sampling.pruning import PRUNERS, Pruner

WORKERS = 2
# Trials of a search without pruning whose mean time is a budget.
TRIALS = (5, 10, 20)
HALF, THIRD = 1 / 2, 1 / 3
RULES: dict[str, Pruner] = {
    "`none`": PRUNERS["none"],
    "`asha`": PRUNERS["asha"],
    "`hyperband`": PRUNERS["hyperband"],
    "`median`": PRUNERS["median"],
    "a third continues at a third": Pruner("", (1 / 3,), THIRD, least=3),
    "half at a ninth, a third and two thirds": Pruner("", (1 / 9, 1 / 3, 2 / 3), HALF, least=5),
    "a third at a ninth and a third": Pruner("", (1 / 9, 1 / 3), THIRD, least=3),
    "a quarter after one epoch": Pruner("", (1e-9,), 1 / 4, least=4),
}
DEFAULTS_FIRST = "defaults first"
STARTS = ("random", DEFAULTS_FIRST)


@dataclass(frozen=True, eq=False)
class Table:
    """The recorded stacks of one data set, each with its first seed.

    Attributes:
        trials: Their trials.
        regrets: Name → regret.
        losses: Name → test loss.
        defaults: Names of the chapter's default and of the one chosen on other data sets.
    """

    trials: tuple[Trial, ...]
    regrets: dict[str, float]
    losses: dict[str, float]
    defaults: tuple[str, str]

    def order(self, start: str, rng: np.random.Generator) -> list[Trial]:
        """Return all trials in a random order, after the defaults if they start."""
        drawn = [self.trials[k] for k in rng.permutation(len(self.trials))]
        first = self.defaults if start == DEFAULTS_FIRST else ()
        return sorted(drawn, key=lambda t: first.index(t.name) if t.name in first else len(first))


def tables(found: Sequence[Run]) -> list[Table]:
    """Return the table of each data set, with the default that the others of its task choose."""
    made = []
    for mine in by_task(found).values():
        for data, default in chosen_by_others(mine).items():
            own = [run for run in mine if run.data == data]
            firsts = [run for run in own if run.seed == 0 and run.finished and run.name != REALMLP]
            losses = Losses.of(own, [data])
            regrets = dict(zip(losses.names, losses.regret[0].tolist(), strict=True))
            tested = {run.name: run.test["loss"] for run in firsts}
            trials = tuple(map(Trial.of, firsts))
            made.append(Table(trials, regrets, tested, (BASELINE, default)))
    return made


def row(table: Table, start: str, rule: Pruner, orders: int) -> tuple[list[float], float, float]:
    """Return the figures of a rule on a data set, as means over random orders.

    Returns:
        The regret after each budget, the share of searches that end worse than their first trial,
        and the number of trials that have ended by the last budget.
    """
    mean = fmean(trial.seconds for trial in table.trials)
    budgets = [mean * number / WORKERS for number in TRIALS]
    regrets, worse, ended = [], [], []
    rng = np.random.default_rng(0)
    for _ in range(orders):
        order = table.order(start, rng)
        found = search(order, rule, WORKERS, kept=table.defaults)
        # A search that has finished no trial yet would have to wait for its first one.
        picked = [_chosen_by(found, seconds) for seconds in budgets]
        regrets.append([table.regrets[trial.name] for trial in picked])
        worse.append(table.losses[picked[-1].name] > table.losses[order[0].name])
        ended.append(sum(e.at <= budgets[-1] for e in found))
    return np.mean(regrets, axis=0).tolist(), fmean(worse), fmean(ended)


def _chosen_by(found: Sequence[Ended], seconds: float) -> Trial:
    first = min(e.at for e in found if not e.pruned)
    trial = chosen(found, max(seconds, first))
    assert trial is not None
    return trial


def lines(found: Sequence[Run], orders: int) -> list[str]:
    """Return the comparison as a table."""
    made = tables(found)
    text = ["| first trials | rule | " + " | ".join(map(str, TRIALS)) + " | ended | worse |"]
    text.append("| --- | --- |" + " ---: |" * (len(TRIALS) + 2))
    for start in STARTS:
        for name, rule in RULES.items():
            rows = [row(table, start, rule, orders) for table in made]
            regret = np.mean([r[0] for r in rows], axis=0)
            cells = [f"{value:.3f}" for value in regret]
            cells += [f"{fmean(r[2] for r in rows):.0f}", f"{fmean(r[1] for r in rows):.0%}"]
            text.append(f"| {start} | {name} | " + " | ".join(cells) + " |")
    return text


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--orders", type=int, default=200)
    given = parser.parse_args()
    print("\n".join(lines(runs(given.folder), given.orders)))


if __name__ == "__main__":
    main()
