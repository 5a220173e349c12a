"""Rules that end a trial's folds early, replayed on recorded folds.

    python -m benchmarks.fold_racing FOLDS.jsonl … [--stacks 40]

A study is a division of the rows and an order of the stacks. Each trial trains its first folds,
and the others only if it is not behind. Costs are shares of training every fold of every stack;
regret is the true loss of the chosen stack above the one that all folds choose, as a share of it.
The truth about a stack is its mean loss over all other divisions.

The second table compares one split of every stack with folds of every stack, and with folds of as
many stacks as the trainings of one split allow. Its regret is that against the truly best stack.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.fold_choices import BEST, confirmed
from benchmarks.fold_tables import FoldTable, read
from benchmarks.folds import FOLDS, POINTS
from trainstack.search.sampling.fold_racing import ERRORS, behind, first_folds
from trainstack.search.sampling.pruning import PRUNERS, Seen, cut
from trainstack.spaces.stopping import heat

ORDERS = 20
ASHA = PRUNERS["asha"]

# Objectives of the first folds, those of finished trials, those of all earlier trials → whether to
# end the trial.
Rule = Callable[[np.ndarray, list[np.ndarray], list[np.ndarray]], bool]


@dataclass(frozen=True)
class Policy:
    """A way to train folds.

    Attributes:
        name: Description.
        ends: Numbers of folds after which a decision is made.
        rule: The decision.
        curves: Folds whose mean curve the product's pruner judges while they train; 0: none.
    """

    name: str
    ends: tuple[int, ...] = ()
    rule: Rule = lambda mine, finished, earlier: False
    curves: int = 0


@dataclass
class Played:
    """What became of a study.

    Attributes:
        tried: Number of stacks with at least one fold.
        spent: Trainings, where a share of a plan counts as that share.
        finished: Stacks with all folds.
    """

    tried: int = 0
    spent: float = 0.0
    finished: list[int] = field(default_factory=list)


def play(
    table: FoldTable,
    division: int,
    order: Sequence[int],
    policy: Policy,
    most: float = math.inf,
) -> Played:
    """Replay a study until it has spent `most` trainings."""
    curves, played = table.curves[:, division], Played()
    finished: list[np.ndarray] = []
    earlier: list[np.ndarray] = []
    rungs: list[list[Seen]] = [[] for _ in ASHA.rungs]
    first = (*policy.ends, FOLDS)[0]
    for k in order:
        if played.spent >= most:
            break
        played.tried += 1
        losses = curves[k, :, -1]
        if policy.curves and (share := _pruned(table, k, curves[k, : policy.curves], rungs)):
            played.spent += first * share
            continue
        for end in policy.ends:
            if policy.rule(losses[:end], finished, earlier):
                played.spent += end
                break
        else:
            played.spent += FOLDS
            played.finished.append(k)
            finished.append(losses)
        earlier.append(losses)
    return played


def _pruned(table: FoldTable, k: int, curves: np.ndarray, rungs: list[list[Seen]]) -> float:
    """Return the share of its plan at which the product's pruner ends a trial; 0: never."""
    for seen, share in zip(rungs, ASHA.rungs, strict=True):
        loss = curves[:, round(share * POINTS) - 1].mean()
        mine = Seen(heat(table.stacks[k], share), float(loss))
        ends = cut(ASHA, mine, seen)
        seen.append(mine)
        if ends:
            return share
    return 0.0


def clearly(
    mine: np.ndarray, finished: list[np.ndarray], earlier: list[np.ndarray], errors: float
) -> bool:
    """End what is behind the best finished trial by some standard errors."""
    return behind(mine.tolist(), [losses.tolist() for losses in finished], errors)


def halved(
    mine: np.ndarray, finished: list[np.ndarray], earlier: list[np.ndarray], keep: float
) -> bool:
    """End what is not among the better share of all trials so far on the same folds."""
    others = [losses[: len(mine)].mean() for losses in earlier]
    better = sum(other < mine.mean() for other in others)
    return len(others) >= 2 and better >= max(1, int(keep * (len(others) + 1)))


def policies() -> list[Policy]:
    """Return the policies to compare."""
    found = [Policy(f"curves of {n}, then all", (n,), curves=n) for n in (1, 2, 5)]
    for ends in ((1,), (2,), (1, 2, 3, 4)):
        for errors in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0):
            rule = partial(clearly, errors=errors)
            found.append(Policy(f"after {_words(ends)}, {errors:g} errors", ends, rule))
    for ends in ((1,), (2,)):
        for keep in (1 / 2, 1 / 3):
            rule = partial(halved, keep=keep)
            found.append(Policy(f"after {_words(ends)}, the best {keep:.2f}", ends, rule))
    for n in (1, 2):
        for errors in (1.0, 1.5, 2.0):
            rule = partial(clearly, errors=errors)
            found.append(Policy(f"curves of {n}, after {n} {errors:g} errors", (n,), rule, n))
    return found


def _words(ends: tuple[int, ...]) -> str:
    return "each" if len(ends) > 1 else f"{ends[0]}"


def compared(table: FoldTable, policy: Policy) -> tuple[float, ...]:
    """Return means over studies.

    Returns:
        Share of the trainings; regret; how often the choice is that of all folds; finished trials;
        share of the truly best three that finished; regret after a confirmation of the best four.
    """
    truth, rng, found = table.truth(), np.random.default_rng(0), []
    for division, true in enumerate(truth):
        scores = table.losses[:, division].mean(1)
        full, after = int(scores.argmin()), confirmed(table.losses, scores, division)
        best = set(np.argsort(true)[:BEST])
        for _ in range(ORDERS):
            played = play(table, division, rng.permutation(len(true)), policy)
            own = np.full(len(true), np.inf)
            own[played.finished] = scores[played.finished]
            chosen, checked = int(own.argmin()), confirmed(table.losses, own, division)
            found.append(
                (
                    played.spent / FOLDS / len(true),
                    true[chosen] / true[full] - 1,
                    chosen == full,
                    len(played.finished),
                    len(best & set(played.finished)) / BEST,
                    true[checked] / true[after] - 1,
                )
            )
    return tuple(np.mean(found, axis=0))


def against_best(table: FoldTable, policy: Policy | None, most: float) -> tuple[float, ...]:
    """Return means over studies of the regret against the best stack.

    Args:
        table: The data set.
        policy: How folds are trained; None: one split for each stack.
        most: Trainings after which no further stack is tried, with folds.

    Returns:
        Regret of the choice; that after a confirmation; number of stacks tried; trainings.
    """
    truth, rng, found = table.truth(), np.random.default_rng(0), []
    stacks = len(table.stacks)
    for division, true in enumerate(truth):
        for turn in range(ORDERS):
            score, tried, spent = table.losses[:, division, turn % FOLDS], stacks, float(stacks)
            if policy is not None:
                played = play(table, division, rng.permutation(stacks), policy, most)
                score, tried, spent = np.full(stacks, np.inf), played.tried, played.spent
                score[played.finished] = table.losses[played.finished, division].mean(1)
            chosen, after = int(score.argmin()), confirmed(table.losses, score, division)
            best = true.min()
            found.append((true[chosen] / best - 1, true[after] / best - 1, tried, spent))
    return tuple(np.mean(found, axis=0))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folds", type=Path, nargs="+")
    parser.add_argument("--stacks", type=int, default=40)
    arguments = parser.parse_args()
    tables = read(arguments.folds, arguments.stacks)
    names = " | ".join(f"{table.data}: spent | regret" for table in tables)
    print(f"policy | spent | regret | same | finished | of the best 3 | confirmed | {names}")
    for policy in policies():
        rows = [compared(table, policy) for table in tables]
        spent, regret, same, finished, kept, after = np.mean(rows, axis=0)
        each = " | ".join(f"{row[0]:.0%} | {row[1]:.2%}" for row in rows)
        print(
            f"{policy.name} | {spent:.0%} | {regret:.2%} | {same:.0%} | {finished:.1f} | "
            f"{kept:.0%} | {after:.2%} | {each}",
            flush=True,
        )
    folds = Policy("folds", (first_folds(FOLDS),), partial(clearly, errors=ERRORS))
    ways = {"one split": (None, 0.0), "folds": (folds, math.inf)}
    ways["folds, as many trainings"] = (folds, float(arguments.stacks))
    print("\ndata | score | regret | confirmed | stacks tried | trainings")
    for table in tables:
        for name, (policy, most) in ways.items():
            regret, after, tried, spent = against_best(table, policy, most)
            print(
                f"{table.data} | {name} | {regret:.2%} | {after:.2%} | {tried:.0f} | {spent:.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
