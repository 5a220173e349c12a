"""Planted truth: whole studies whose answer is known, through the product's own statistics.

    python -m benchmarks.planted [STUDIES]

A made-up response (`search.evidence.planted`) stands in for training; search, confirmation, choice,
ablations, effects and verdict are the product's. Effects are in deviations of one run over seeds;
`shared` is the part of that variance that all stacks with one seed have in common.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from search.evidence.ablation import changed
from search.evidence.candidates import confirmed, losses
from search.evidence.effects import confirmed_losses, effects, pairs
from search.evidence.plan import choice, confirmation_seed
from search.evidence.planted import Planted, made_up_spec, neighbours
from search.evidence.recommendation import recommend
from search.evidence.statistics import compare, contrast
from search.records import Run
from spaces.references import CHAPTER_DEFAULT
from spaces.stack import Stack

STUDIES, REPLICATES = 200, 5
SHARED = (0.0, 0.5, 0.8)
EFFECT_AXIS, EFFECT_CHOICE = "dropout", "last"
# What the ablations of a made-up study change, an axis each.
ALTERNATIVES: dict[str, Stack] = {
    "activation": CHAPTER_DEFAULT.but(activation="elu", initializer="he_normal"),
    "normalization": CHAPTER_DEFAULT.but(normalization="before"),
    "optimizer": CHAPTER_DEFAULT.but(optimizer="adam"),
    "schedule": CHAPTER_DEFAULT.but(schedule="exponential"),
    "dropout": CHAPTER_DEFAULT,
    "penalty": CHAPTER_DEFAULT.but(penalty="l2"),
    "batch_size": CHAPTER_DEFAULT.but(batch_size=64),
    "units": CHAPTER_DEFAULT.but(units=[100, 100]),
}


def without_a_difference(studies: int, shared: float) -> dict[str, float]:
    """All stacks are equally good: how often is one called better, and what do intervals hold?"""
    planted = Planted(shared=shared)
    better = whole = single = intervals = 0
    biases, naive = [], []
    for seed in range(studies):
        spec = made_up_spec(trials=100, replicates=REPLICATES, seed=seed)
        runs = planted.search(spec, [CHAPTER_DEFAULT, *neighbours(8)])
        naive.append((min(r.value or 9.0 for r in runs) - planted.base) / planted.deviation)
        done = planted.confirm(spec, runs)
        found, chosen = recommend(spec, done, {}), choice(spec, done)
        assert chosen is not None
        better += found.verdict == "better"
        biases.append((found.validation["loss"]["mean"] - planted.base) / planted.deviation)
        rows = losses(confirmed(chosen.candidates, done))
        values = compare(rows, CHAPTER_DEFAULT.stack_id).values()
        whole += all(v.low is not None and v.low <= 0.0 <= (v.high or 0.0) for v in values)
        table = confirmed_losses(done)
        for effect in effects(found.stack, done, planted.base):
            if effect.kind == "paired":
                rows_of = pairs(done, effect.axis, effect.choice, effect.alternative)
                value = contrast(rows_of, table)
                intervals += 1
                single += value.low is not None and value.low <= 0.0 <= (value.high or 0.0)
    return {
        "called better": better / studies,
        "all verdict intervals hold": whole / studies,
        "single effect intervals hold": single / max(1, intervals),
        "bias of the confirmed score": fmean(biases),
        "bias of the best trial": fmean(naive),
    }


def ablated(planted: Planted, contexts: Sequence[Stack], seed: int) -> list[Run]:
    """Return the runs of every context and of its variants, all with the same seeds."""
    stacks = dict.fromkeys(contexts)
    for context in contexts:
        for axis, other in ALTERNATIVES.items():
            stacks.setdefault(changed(context, axis, other))
    return [
        planted.run(stack, confirmation_seed(seed, j), number, seed_index=j)
        for number, stack in enumerate(stacks)
        for j in range(REPLICATES)
    ]


def power(studies: int, shared: float, contexts: int, size: float = 1.0) -> tuple[float, float]:
    """Plant an effect on one of eight axes; how often is it found?

    Returns:
        Share of studies where it is found with an interval that holds together with those of the
        other seven axes, and where it is found with an interval of its own.
    """
    deviation = 0.02
    planted = Planted({EFFECT_AXIS: {EFFECT_CHOICE: -size * deviation}}, 0.5, deviation, shared)
    best = CHAPTER_DEFAULT.but(dropout=EFFECT_CHOICE)
    around = [best, best.but(clipping="norm"), best.but(input_normalization="batch")][:contexts]
    together = alone = 0
    for seed in range(studies):
        runs = ablated(planted, around, seed)
        row = next(e for e in effects(best, runs, planted.base) if e.axis == EFFECT_AXIS)
        together += row.ci95 is not None and row.ci95[1] < 0.0
        found = pairs(runs, EFFECT_AXIS, row.choice, row.alternative)
        value = contrast(found, confirmed_losses(runs))
        alone += value.high is not None and value.high < 0.0
    return together / studies, alone / studies


def verdicts(studies: int, shared: float, size: float) -> float:
    """Return how often a stack that is better by `size` deviations is recommended as `better`."""
    planted = Planted({EFFECT_AXIS: {EFFECT_CHOICE: -size * 0.02}}, 0.5, 0.02, shared)
    right = 0
    for seed in range(studies):
        spec = made_up_spec(space={"axes": {}}, trials=5, replicates=REPLICATES, seed=seed)
        done = planted.confirm(spec, planted.search(spec, [CHAPTER_DEFAULT, *neighbours(4)]))
        found = recommend(replace(spec, trials=5), done, {})
        right += found.verdict == "better" and found.stack["dropout"] == EFFECT_CHOICE
    return right / studies


def main(studies: int = STUDIES) -> None:
    """Print the tables."""
    print(f"{studies} studies each, {REPLICATES} replicates\n\nno difference between any stacks")
    for shared in SHARED:
        print(f"  shared {shared:g}")
        for what, value in without_a_difference(studies, shared).items():
            print(f"    {what:<32}{value:8.3f}")
    print("\nan effect of 1 deviation on one of 8 axes, found by ablations")
    print("  shared  contexts  together  alone")
    for shared in SHARED:
        for contexts in (1, 2, 3):
            together, alone = power(studies, shared, contexts)
            print(f"  {shared:6g}  {contexts:8d}  {together:8.2f}  {alone:5.2f}")
    print("\na stack that is better than the default by so many deviations, called better")
    print("  shared  " + "  ".join(f"{size:4g}" for size in (1.0, 2.0)))
    for shared in SHARED:
        row = "  ".join(f"{verdicts(studies, shared, size):4.2f}" for size in (1.0, 2.0))
        print(f"  {shared:6g}  {row}")


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
