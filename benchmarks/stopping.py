"""Stopping and pruning rules, replayed on full learning curves.

    python -m benchmarks.stopping CURVES.jsonl …

The curves are those recorded by `benchmarks.curves` without any stopping (the published ones are in
`benchmarks/results/curves`). Stopping is judged by the final loss with and without the rule, run by
run, for several shares of patience and several shares of its peak to which a planned rate must have
come down before patience counts; pruning by forty trials in random orders: how many of the five
best are pruned, and the loss of the best remaining one. Patience is that of the named spaces unless
stated.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any
from unittest.mock import patch

import numpy as np

from trainstack.search.sampling.pruning import PRUNERS, Pruner, Seen, cut
from trainstack.spaces import stopping
from trainstack.spaces.stack import Stack
from trainstack.spaces.stopping import heat, stopping_of

ORDERS = 200
BEST = 5
# The share of the plan that the named spaces wait; the curves were recorded before it was chosen.
SHARE = 0.5

Run = dict[str, Any]


def read(paths: Sequence[Path]) -> list[Run]:
    """Return the recorded runs that trained to the end of their plan, with their stacks."""
    rows = [json.loads(line) for path in paths for line in _text(path).splitlines()]
    return [
        {**row, "stack": _waiting(Stack.from_json(row["stack"]))}
        for row in rows
        if row["outcome"] == "completed" and row["valid"]
    ]


def _waiting(stack: Stack) -> Stack:
    return stack if stack["stopping"] == "none" else stack.but(stopping__share=SHARE)


def _text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


def stopped(run: Run, stack: Stack) -> tuple[float, int]:
    """Return the final loss and the epochs trained under a stack's rule."""
    epochs = stopped_after(stack, run["epochs"], run["valid"])
    return min(run["valid"][:epochs], default=math.inf), epochs


def stopped_after(stack: Stack, planned: int, curve: Sequence[float]) -> int:
    """Return the number of epochs after which a stack's rule ends a run.

    Args:
        stack: The stack.
        planned: Epochs of the plan.
        curve: Validation loss after each epoch.
    """
    rule, best, best_epoch = stopping_of(stack, planned), math.inf, 0
    for epoch, loss in enumerate(curve, start=1):
        if loss < best:
            best, best_epoch = loss, epoch
        if rule.ends(epoch, best_epoch):
            return epoch
    return len(curve)


def stopping_row(runs: Sequence[Run], change: Callable[[Stack], Stack]) -> str:
    """Return ratios of final losses and the savings, as a row of a table."""
    ratios, epochs, seconds = [], [0, 0], [0.0, 0.0]
    for run in runs:
        loss, trained = stopped(run, change(run["stack"]))
        ratios.append(loss / min(run["valid"]))
        for k, count in enumerate((trained, len(run["valid"]))):
            epochs[k] += count
            seconds[k] += count * run["epoch_seconds"]
    above = sum(ratio > 1.05 for ratio in ratios)
    return (
        f"{len(runs)} | {fmean(ratios):.4f} | {max(ratios):.3f} | {above} | "
        f"{1 - epochs[0] / epochs[1]:.0%} | {1 - seconds[0] / seconds[1]:.0%}"
    )


def replay(runs: Sequence[Run], row: Pruner, fair: bool) -> tuple[set[int], float]:
    """Replay trials in turn; return the numbers of pruned trials and the share of epochs spent."""
    before: list[list[Seen]] = [[] for _ in row.rungs]
    gone: set[int] = set()
    spent = total = 0
    for number, run in enumerate(runs):
        _, trained = stopped(run, run["stack"])
        planned = run["epochs"]
        for rung, share in enumerate(row.rungs):
            epoch = max(1, int(share * planned))
            if epoch >= trained:
                break
            mine = Seen(heat(run["stack"], share) if fair else 1.0, min(run["valid"][:epoch]))
            ends = cut(row, mine, before[rung])
            before[rung].append(mine)
            if ends:
                gone.add(number)
                trained = epoch
                break
        spent += trained
        total += stopped(run, run["stack"])[1]
    return gone, spent / total


def pruning_rows(runs: Sequence[Run], rules: dict[str, tuple[Pruner, bool]]) -> Iterator[str]:
    """Yield a table row for each rule, over all data sets and many orders of their trials."""
    sets = sorted({run["data"] for run in runs})
    for name, (row, fair) in rules.items():
        lost, cuts, spent, won = [], [], [], []
        for data in sets:
            own = [run for run in runs if run["data"] == data]
            rng = np.random.default_rng(0)
            for _ in range(ORDERS):
                order = [own[k] for k in rng.permutation(len(own))]
                gone, share = replay(order, row, fair)
                finals = [min(run["valid"]) for run in order]
                best = np.argsort(finals)[:BEST]
                kept = [f for k, f in enumerate(finals) if k not in gone]
                cuts.append(sum(int(k) in gone for k in best))
                won.append(int(best[0]) in gone)
                lost.append(min(kept) / min(finals))
                spent.append(share)
        yield (
            f"{name} | {fmean(cuts):.2f} | {fmean(won):.1%} | {fmean(lost):.4f} | "
            f"{np.quantile(lost, 0.95):.3f} | {fmean(spent):.0%}"
        )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("curves", type=Path, nargs="+")
    runs = read(parser.parse_args().curves)
    print("share | runs | mean ratio | largest | above 1.05 | epochs saved | seconds saved")
    for share in (0.1, 0.15, 0.2, 0.25, 0.33, 0.5):
        print(f"{share} | {stopping_row(runs, partial(Stack.but, stopping__share=share))}")
    planned = [run for run in runs if stopping.cool_from(run["stack"]) > 0]
    print("\npeak's share, share | runs of planned schedules | …")
    for limit in (1.0, 0.5, 0.3, 0.1):
        with patch.object(stopping, "COOL_SHARE", limit):
            for share in (0.1, 0.25, SHARE):
                row = stopping_row(planned, partial(Stack.but, stopping__share=share))
                print(f"{limit}, {share} | {row}")
    print("\nschedule | runs | …")
    for schedule in sorted({run["stack"]["schedule"] for run in runs}):
        own = [run for run in runs if run["stack"]["schedule"] == schedule]
        print(f"{schedule} | {stopping_row(own, lambda s: s)}")
    drawn = [run for run in runs if run["name"].startswith("draw-")]
    if not drawn:
        return
    print(
        "\nrule | pruned of the best 5 | best pruned | loss of the best remaining | 95 % | epochs"
    )
    asha = PRUNERS["asha"]
    former = Pruner("", (1 / 3,), 1 / 3)
    rules = {
        "as before: rung 0.33, keep 0.33, all alike": (former, False),
        "asha as it is, but all alike": (asha, False),
        "asha as it is": (asha, True),
    }
    for rung in (1 / 3, 1 / 2, 2 / 3):
        for keep in (1 / 3, 1 / 2, 2 / 3):
            row = Pruner("", (rung,), keep, least=3)
            rules[f"rung {rung:.2f}, keep {keep:.2f}, fair"] = (row, True)
    thirds = (1 / 3, 1 / 2, 2 / 3)
    rules["rungs 0.33 0.50 0.67, keep 0.50, fair"] = (Pruner("", thirds, 1 / 2, least=3), True)
    for least, fair in ((3, False), (3, True), (8, True)):
        name = f"rungs 0.33 0.67, keep 0.50 of {least}, {'fair' if fair else 'all alike'}"
        rules[name] = Pruner("", (1 / 3, 2 / 3), 1 / 2, least=least), fair
    rules["rungs 0.25 0.50 0.75, keep 0.50, fair"] = (
        Pruner("", (0.25, 0.5, 0.75), 1 / 2, least=3),
        True,
    )
    rules["median"] = (PRUNERS["median"], True)
    for text in pruning_rows(drawn, rules):
        print(text)
    print(f"median epoch of a draw: {median(r['epoch_seconds'] for r in drawn):.4f} s")


if __name__ == "__main__":
    main()
