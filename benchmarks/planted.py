"""Whole studies with a known answer, evaluated by the product's own statistics.

    python -m benchmarks.planted [STUDIES]

A simulated response (`tests.support.planted_study`) replaces training; search, confirmation,
choice, ablations, effects and verdict are the product's. Effects are in deviations of one run over
seeds; `shared` is the part of that variance that all stacks with one seed have in common.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from tests.support.planted_study import Planted, made_up_spec, neighbours
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.evidence.ablation import changed
from trainstack.search.evidence.candidates import confirmed, losses
from trainstack.search.evidence.comparisons import compare, contrast
from trainstack.search.evidence.effects import confirmed_losses, effects, pairs
from trainstack.search.evidence.race import choice, confirmation_seed
from trainstack.search.records import Run
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

STUDIES, REPLICATES = 200, 5
SHARED = (0.0, 0.5, 0.8)
# Kinds of noise: equal for all stacks; some stacks twice as noisy as others; heavy tails.
KINDS = {
    **{f"equal noise, shared {shared:g}": Planted(shared=shared) for shared in SHARED},
    "uneven noise, shared 0.8": Planted(shared=0.8, uneven=0.5),
    "heavy tails, shared 0.8": Planted(shared=0.8, tails=3.0),
}
EFFECT_AXIS, EFFECT_CHOICE = "dropout", "last"
# Changes made by the ablations of a simulated study, one axis each.
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
# A conditional space with planted effects, in deviations, with axes in falling order of effect.
# Normalization and activation occur in only half of the chapter's space, and the smaller effects
# are on axes with more arms.
RANKED: Mapping[str, Mapping[str, float]] = {
    "dropout": {"last": -7.0},
    "normalization": {"before": -5.5},
    "optimizer": {"adam": -4.0},
    "activation": {"elu": -2.5},
}
RANKED_BEST = CHAPTER_DEFAULT.but(
    normalization="before", activation="elu", initializer="he_normal", optimizer="adam"
).but(dropout="last")


def without_a_difference(studies: int, planted: Planted) -> dict[str, float]:
    """Return the rates of false findings and the intervals' coverage when all stacks are equal."""
    better = whole = words = single = intervals = 0
    biases, naive = [], []
    for seed in range(studies):
        world = replace(planted, world=seed)
        spec = made_up_spec(trials=100, replicates=REPLICATES, seed=seed)
        runs = world.search(spec, [CHAPTER_DEFAULT, *neighbours(8)])
        naive.append((min(r.value or 9.0 for r in runs) - planted.base) / planted.deviation)
        done = world.confirm(spec, runs)
        found, chosen = recommend(spec, done, {}), choice(spec, done)
        assert chosen is not None
        better += found.verdict == "better"
        biases.append((found.validation.loss.mean - planted.base) / planted.deviation)
        rows = losses(confirmed(chosen.candidates, done))
        values = compare(rows, CHAPTER_DEFAULT.stack_id, chosen.level).values()
        whole += all(v.low is not None and v.low <= 0.0 <= (v.high or 0.0) for v in values)
        table = confirmed_losses(done)
        results = effects(found.stack, done, planted.base)
        words += any(effect.word in ("better", "worse") for effect in results)
        for effect in results:
            if effect.kind == "paired":
                rows_of = pairs(done, effect.axis, effect.choice, effect.alternative)
                value = contrast(rows_of, table)
                intervals += 1
                single += value.low is not None and value.low <= 0.0 <= (value.high or 0.0)
    return {
        "recommended stack called better": better / studies,
        "some effect given a word": words / studies,
        "all verdict intervals hold": whole / studies,
        "single effect intervals hold": single / max(1, intervals),
        "bias of the confirmed score": fmean(biases),
        "bias of the best trial": fmean(naive),
    }


def ablated(planted: Planted, contexts: Sequence[Stack], seed: int) -> list[Run]:
    """Return the runs of every context and its variants, all with the same seeds."""
    stacks = dict.fromkeys(contexts)
    for context in contexts:
        for axis, other in ALTERNATIVES.items():
            stacks.setdefault(changed(context, axis, other))
    return [
        planted.run(stack, confirmation_seed(seed, j), number, seed_index=j)
        for number, stack in enumerate(stacks)
        for j in range(REPLICATES)
    ]


def power(
    studies: int, shared: float, contexts: int, size: float = 1.0, departs: bool = True
) -> tuple[float, float]:
    """Return how often an effect planted on one of eight axes is found.

    Args:
        studies: Number of studies.
        shared: Part of the variance that stacks with one seed share.
        contexts: Number of stacks to ablate.
        size: Size of the effect, in deviations.
        departs: True if the stack departs from the chapter's default in that axis (and in no
            other); False if it departs in another one.

    Returns:
        Share of studies in which it is found with an interval that holds together with those of the
        other seven axes, and in which it is found with an interval of its own.
    """
    deviation = 0.02
    planted = Planted({EFFECT_AXIS: {EFFECT_CHOICE: -size * deviation}}, 0.5, deviation, shared)
    best = CHAPTER_DEFAULT.but(dropout=EFFECT_CHOICE)
    axis = EFFECT_AXIS
    if not departs:
        axis, worse = "batch_size", {64: size * deviation}
        planted = replace(planted, effects={axis: worse})
    around = [best, best.but(clipping="norm"), best.but(input_normalization="batch")][:contexts]
    together = alone = 0
    for seed in range(studies):
        runs = ablated(planted, around, seed)
        row = next(e for e in effects(best, runs, planted.base) if e.axis == axis)
        together += row.ci95 is not None and row.ci95[1] < 0.0
        found = pairs(runs, axis, row.choice, row.alternative)
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


def rankings(studies: int, trials: int = 150) -> dict[str, float]:
    """Return how often effects planted on four axes of the chapter's space are ranked correctly.

    The same trials, drawn by Optuna at random, are used for its importances and for a study
    (including the best stack, as a search would find it) that is confirmed and ablated.

    Returns:
        Share of studies in which the four axes are in the planted order, by method.
    """
    right: dict[str, int] = {}
    for seed in range(studies):
        for method, order in ranked(seed, trials).items():
            right[method] = right.get(method, 0) + (order == list(RANKED))
    return {method: count / studies for method, count in right.items()}


def ranked(seed: int, trials: int, trees: int = 64) -> dict[str, list[str]]:
    """Return the planted axes of one study in each method's order, largest effect first."""
    import optuna
    from optuna.importance import (
        FanovaImportanceEvaluator,
        PedAnovaImportanceEvaluator,
        get_param_importances,
    )

    planted = Planted({a: {c: 0.02 * size for c, size in of.items()} for a, of in RANKED.items()})
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    study.enqueue_trial(Space.named("chapter").encode(RANKED_BEST) or {})
    spec, runs = made_up_spec(trials=trials, replicates=REPLICATES, seed=seed), []
    for number in range(trials):
        trial = study.ask()
        stack = Space.named("chapter").draw(trial)
        runs.append(planted.run(stack, 10_000 * seed + number, number))
        study.tell(trial, runs[-1].value)
    done = planted.confirm(spec, runs)
    found = choice(spec, done)
    assert found is not None
    sizes = {e.axis: abs(e.effect or 0.0) for e in effects(found.stack, done, planted.base)}
    evaluators: dict[str, Any] = {
        "PED-ANOVA": PedAnovaImportanceEvaluator(),
        "fANOVA": FanovaImportanceEvaluator(n_trees=trees, seed=seed),
    }
    importances = {
        name: get_param_importances(study, evaluator=evaluator)
        for name, evaluator in evaluators.items()
    }
    return {
        name: sorted(RANKED, key=lambda axis: -of.get(axis, 0.0))
        for name, of in {"effects": sizes, **importances}.items()
    }


def main(studies: int = STUDIES) -> None:
    """Print the tables."""
    print(f"{studies} studies each, {REPLICATES} replicates\n\nno difference between any stacks")
    for kind, planted in KINDS.items():
        print(f"  {kind}")
        for what, value in without_a_difference(studies, planted).items():
            print(f"    {what:<34}{value:8.3f}", flush=True)
    print("\nan effect of 1 deviation on one of 8 axes, found by ablations")
    print("  shared  contexts  departs  together  alone")
    for shared in SHARED:
        for contexts, departs in ((1, True), (1, False), (2, True), (3, True)):
            together, alone = power(studies, shared, contexts, departs=departs)
            cells = f"{'yes' if departs else 'no':>7}  {together:8.2f}  {alone:5.2f}"
            print(f"  {shared:6g}  {contexts:8d}  {cells}", flush=True)
    print("\na stack that is better than the default by a number of deviations, called better")
    print("  shared  " + "  ".join(f"{size:4g}" for size in (1.0, 2.0)))
    for shared in SHARED:
        row = "  ".join(f"{verdicts(studies, shared, size):4.2f}" for size in (1.0, 2.0))
        print(f"  {shared:6g}  {row}", flush=True)
    print("\nfour planted axes of the conditional chapter space, ranked in their order by")
    for method, share in rankings(max(1, studies // 10)).items():
        print(f"  {method:<12}{share:6.2f}")


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
