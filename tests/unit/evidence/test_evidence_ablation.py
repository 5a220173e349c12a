"""Ablations: the runs planned after the choice, and their results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.support.planted_study import Planted, made_up_spec, neighbours
from trainstack.search.evidence import ablation
from trainstack.search.evidence.ablation import ablations, changed, searched_axes
from trainstack.search.evidence.comparisons import contrast
from trainstack.search.evidence.effects import differ_only, effects
from trainstack.search.evidence.race import choice, next_runs, race
from trainstack.search.records import CONFIRMATION, Outcome, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

QUIET = Planted(deviation=1e-4)
STACKS = [CHAPTER_DEFAULT, *neighbours(6), REFERENCES["relu-he-bn-adam"]]


def finished(planted: Planted = QUIET, **asked: Any) -> tuple[StudySpec, list[Run]]:
    """A study in the chapter's space, searched over STACKS, confirmed and ablated."""
    spec = made_up_spec(**{"trials": len(STACKS), **asked})
    return spec, planted.confirm(spec, planted.search(spec, STACKS))


def chosen(spec: StudySpec, runs: list[Run]) -> Stack:
    """The recommended stack."""
    found = choice(spec, runs)
    assert found is not None
    return found.stack


def ablated(runs: list[Run]) -> list[Run]:
    """The runs of the ablations."""
    return [r for r in runs if (r.label or "").startswith("ablation: ")]


def test_each_ablation_changes_one_axis_only() -> None:
    """Every variant differs from the recommended stack in its axis, and at most in the rate."""
    spec, runs = finished()
    stack = chosen(spec, runs)
    found = ablations(spec, runs, stack)
    assert 3 <= len(found) <= ablation.MOST_AXES
    for one in found:
        for variant in one.variants:
            assert differ_only(variant, stack, one.axis)


def test_a_variant_keeps_the_rule_between_its_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variant with batch normalization before the activation loses its biases' choice, and of
    such a stack the biases are not ablated."""
    biased = CHAPTER_DEFAULT.but(bias="normal")
    before = REFERENCES["relu-he-bn-adam"]
    variant = changed(biased, "normalization", before)
    assert (variant["normalization"], variant["bias"]) == ("before", "zeros")
    assert differ_only(biased, variant, "normalization")
    document = Space.named("chapter").to_json()
    document["axes"]["bias"] = {"zeros": {}, "normal": {}}
    monkeypatch.setattr(ablation, "MOST_AXES", 20)
    spec = replace(made_up_spec(), space=document)
    runs = QUIET.search(spec, [before, biased, CHAPTER_DEFAULT])
    assert "bias" in {a.axis for a in ablations(spec, runs, CHAPTER_DEFAULT)}
    assert "bias" not in {a.axis for a in ablations(spec, runs, before)}


def test_choices_beyond_the_chapter_are_ablated() -> None:
    """In the space `modern` a study says what the chapter's choice would be worth instead."""
    spec = replace(made_up_spec(), space=Space.named("modern").to_json())
    stack = CHAPTER_DEFAULT.but(preparation="robust_clip", embedding="periodic", averaging="last")
    found = ablations(spec, QUIET.search(spec, [CHAPTER_DEFAULT, stack]), stack)
    assert [a.axis for a in found[:3]] == ["preparation", "embedding", "averaging"]
    for axis in ("preparation", "embedding", "averaging"):
        variant = next(a.variants[0] for a in found if a.axis == axis)
        assert variant[axis] == CHAPTER_DEFAULT[axis]
        assert differ_only(stack, variant, axis)


def test_ablations_cost_no_more_than_what_came_before() -> None:
    """All axes are ablated if a run is cheap, only the first FEWEST_AXES if it is expensive."""
    spec = made_up_spec(trials=len(STACKS))
    axes = {}
    for seconds in (0.0, 100.0):
        runs = [replace(r, seconds={"total": 1.0}) for r in QUIET.search(spec, STACKS)]
        while not race(spec, runs).done:
            runs += [
                replace(
                    QUIET.run(p.stack, p.seed, len(runs) + k, p.seed_index, p.label),
                    seconds={"total": seconds},
                )
                for k, p in enumerate(next_runs(spec, runs))
            ]
        # Some axes already have pairs from the race.
        entrants = {c.stack for c in race(spec, runs).entrants}
        found = ablations(spec, runs, chosen(spec, runs))
        fresh = [a.label for a in found if not entrants.intersection(a.variants)]
        axes[seconds] = {p.label for p in next_runs(spec, runs)}
        first = [a.label for a in found[: ablation.FEWEST_AXES]]
        assert axes[seconds] == set(fresh if not seconds else [a for a in fresh if a in first])
    assert axes[100.0] < axes[0.0]


def test_ablations_wait_for_the_choice_and_never_change_it() -> None:
    """No ablation is planned during the race, and ablations do not change the choice."""
    planted = Planted(deviation=0.02, shared=0.0)
    spec = made_up_spec(trials=len(STACKS))
    runs = planted.search(spec, STACKS)
    settled = None
    while wanted := next_runs(spec, runs):
        labels = [p.label or "" for p in wanted]
        if race(spec, runs).done:
            settled = settled or chosen(spec, runs)
            assert all(label.startswith("ablation: ") for label in labels)
        else:
            assert not any(label.startswith("ablation: ") for label in labels)
        runs += [
            planted.run(p.stack, p.seed, len(runs) + k, p.seed_index, p.label)
            for k, p in enumerate(wanted)
        ]
    assert chosen(spec, runs) == settled
    entrants = {c.stack for c in race(spec, runs).entrants}
    assert not entrants & {r.stack for r in ablated(runs)}


def test_variants_are_trained_with_the_confirmations_seeds() -> None:
    """Each variant's paired runs have exactly the seeds of the recommended stack's runs."""
    spec, runs = finished()
    stack = chosen(spec, runs)
    own = {(r.seed_index, r.seed) for r in runs if r.phase == CONFIRMATION and r.stack == stack}
    by_label: dict[str | None, set[tuple[int, int]]] = {}
    for run in ablated(runs):
        if run.seed_index < ablation.TUNING_INDEX:
            by_label.setdefault(run.label, set()).add((run.seed_index, run.seed))
    assert by_label
    assert all(seeds == own for seeds in by_label.values())


def test_the_rate_of_another_optimizer_is_tuned() -> None:
    """A variant's rate is the best of those tried on the tuning seed."""
    planted = replace(QUIET, rates={"rmsprop": 0.003})
    spec = made_up_spec(trials=2)
    rivals = [CHAPTER_DEFAULT.but(optimizer="rmsprop", batch_size=64)]
    runs = planted.confirm(spec, planted.search(spec, [CHAPTER_DEFAULT, *rivals]))
    paired = [r for r in ablated(runs) if r.label == "ablation: optimizer=RMSProp"]
    rates = {r.stack["optimizer.learning_rate"] for r in paired if r.stack and r.seed_index < 1000}
    assert [*rates] == pytest.approx([0.003])


def test_the_alternative_is_the_defaults_choice_where_that_differs() -> None:
    """A departure is compared with the default's choice, including its parameters."""
    spec = made_up_spec(trials=1)
    stack = CHAPTER_DEFAULT.but(activation="relu", initializer="he_normal", dropout="last")
    runs = QUIET.search(spec, [stack])
    found = {a.axis: a.variants[0] for a in ablations(spec, runs, stack)}
    assert found["activation"]["activation"] == "selu"
    assert found["activation"]["initializer"] == "lecun_normal"
    assert found["dropout"]["dropout"] == "none"


def test_another_choice_brings_its_own_numbers() -> None:
    """The other choice has the parameters of its best trial; everything else is unchanged."""
    other = CHAPTER_DEFAULT.but(dropout="all", dropout__rate=0.37, batch_size=64)
    found = changed(CHAPTER_DEFAULT, "dropout", other)
    assert found == CHAPTER_DEFAULT.but(dropout="all", dropout__rate=0.37)


@pytest.mark.parametrize("asked", [{"replicates": 1}, {"space": {"axes": {}}}])
def test_nothing_is_ablated_without_seeds_or_search(asked: dict[str, Any]) -> None:
    """One replicate, or a space without a choice, plans no ablation."""
    assert not ablated(finished(**asked)[1])


def test_given_stacks_and_fixed_bundles_are_not_searched() -> None:
    """Axes that the space decides, and all axes of given stacks, are not ablated."""
    spec = made_up_spec(space=Space.named("self-normalizing").to_json())
    assert "activation" not in searched_axes(spec)
    assert "optimizer" in searched_axes(spec)
    assert searched_axes(replace(made_up_spec(), stacks=(CHAPTER_DEFAULT,))) == ()


def test_a_variant_that_diverges_is_given_up() -> None:
    """If all tuning runs of a variant diverge, it gets no more runs, and the others continue."""
    spec, runs = finished()
    bad = next(a for a in ablations(spec, runs, chosen(spec, runs)) if len(a.variants) == 3)
    spoilt = replace(QUIET, diverge=frozenset(v.stack_id for v in bad.variants))
    _, again = finished(spoilt)
    assert len([r for r in ablated(again) if r.label == bad.label]) == 3
    assert next_runs(spec, again) == []


def test_planted_effects_get_their_word_from_ablations() -> None:
    """A planted effect of ten deviations is found, and an axis without effect is not `better`."""
    planted = Planted(effects={"dropout": {"none": -0.2}}, deviation=0.02)
    spec, runs = finished(planted, seed=4)
    stack = chosen(spec, runs)
    rows = {e.axis: e for e in effects(stack, runs, planted.base)}
    assert rows["dropout"].word == "better"
    assert rows["dropout"].n_pairs >= 5
    assert rows["schedule"].kind == "paired"
    assert rows["schedule"].word in ("equivalent", "no evidence")


def test_a_contrast_of_two_stacks_is_the_paired_interval() -> None:
    """With two rows the pooled contrast equals SciPy's paired t interval."""
    rng = np.random.default_rng(3)
    first, second = (dict(enumerate(rng.normal(size=6))) for _ in range(2))
    pairs = [("a", "b", j, first[j] - second[j]) for j in range(6)]
    value = contrast(pairs, {"a": first, "b": second})
    reference = stats.ttest_rel(list(first.values()), list(second.values()))
    low, high = reference.confidence_interval(0.95)
    assert value.ci95 == pytest.approx([low, high])


def test_a_contrast_covers_the_truth() -> None:
    """Over 1,000 tables of eight equal stacks the 95 % interval includes 0 in 93 to 97 %."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(1000):
        losses = rng.normal(size=(8, 5)) + rng.normal(size=5)
        table = {str(k): dict(enumerate(map(float, row))) for k, row in enumerate(losses)}
        value = contrast([("0", "1", j, table["0"][j] - table["1"][j]) for j in range(5)], table)
        assert value.ci95 is not None
        held += value.ci95[0] <= 0.0 <= value.ci95[1]
    assert 930 <= held <= 970


def test_one_noisy_stack_does_not_blur_the_others() -> None:
    """A row with twenty times the noise hardly changes the intervals of the others."""
    rng = np.random.default_rng(7)
    losses = rng.normal(size=(8, 5))
    table = {str(k): dict(enumerate(map(float, row))) for k, row in enumerate(losses)}
    pairs = [("0", "1", j, table["0"][j] - table["1"][j]) for j in range(5)]
    calm = contrast(pairs, table)
    noisy = contrast(pairs, {**table, "9": dict(enumerate(map(float, 20 * rng.normal(size=5))))})
    assert calm.ci95 is not None
    assert noisy.ci95 == pytest.approx(calm.ci95, rel=0.2)


def test_a_number_of_a_users_network_has_an_effect() -> None:
    """Stacks that differ in one number of the user's network are pairs for it, and for it only."""
    few, many = (CHAPTER_DEFAULT.but(**{"network.filters": n, "network.top": "a"}) for n in (8, 16))
    rows = {few: (0.50, 0.52, 0.49), many: (0.30, 0.31, 0.30)}
    runs = [
        Run(CONFIRMATION, k, stack, stack.stack_id, k, k, outcome=Outcome.COMPLETED, value=value)
        for stack, values in rows.items()
        for k, value in enumerate(values)
    ]
    found = {e.axis: e for e in effects(many, runs, 0.5)}
    effect = found["network.filters"]
    assert (effect.choice, effect.alternative, effect.n_pairs) == (16, 8, 3)
    assert effect.effect == pytest.approx(np.mean([0.20, 0.21, 0.19]) * -1)
    assert found["network.top"].n_pairs == found["activation"].n_pairs == 0
