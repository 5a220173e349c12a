"""The numbers of a user's own network in ablations, effects and challenges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.planted_study import Planted, made_up_spec
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.evidence.ablation import LABEL, ablations, searched_axes, with_number
from trainstack.search.evidence.effects import Effect, effects
from trainstack.search.evidence.race import choice
from trainstack.search.evidence.run_bounds import most_runs
from trainstack.search.own_network import OwnNetwork
from trainstack.search.records import CONFIRMATION, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.domains import Choices, Range
from trainstack.spaces.network_space import for_network
from trainstack.spaces.own_numbers import OwnNumber
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

NUMBERS = {
    "filters": OwnNumber(Choices((8, 16))),
    "top": OwnNumber(Choices(("dense", "mean"))),
    "units": OwnNumber(Range(4, 32, integer=True), {"top": ("dense",)}),
}
SPACE = for_network(Space.named("chapter"), NUMBERS, has_head=True, voids="a convolution")
NETWORK = OwnNetwork("lenet.py", "build", "")
SIXTEEN = CHAPTER_DEFAULT.but(network__filters=16, network__top="mean")


def concluded(planted: Planted, *stacks: Stack, **asked: Any) -> tuple[StudySpec, list[Run], Stack]:
    """A confirmed study of a network over some stacks, and its recommended stack."""
    spec = made_up_spec(space=SPACE.to_json(), network=NETWORK, trials=len(stacks), **asked)
    runs = planted.confirm(spec, planted.search(spec, stacks))
    found = choice(spec, runs)
    assert found is not None
    return spec, runs, found.stack


def effect_of(axis: str, planted: Planted, *stacks: Stack) -> Effect:
    """The effect of an axis of the recommended stack."""
    spec, runs, stack = concluded(planted, *stacks)
    found = effects(stack, runs, planted.base, numbers=spec.network_numbers)
    return next(effect for effect in found if effect.axis == axis)


def test_numbers_of_a_network_are_searched_axes() -> None:
    """A number with a choice is ablated; the widths, which the network does not have, are not."""
    spec = made_up_spec(space=SPACE.to_json(), network=NETWORK)
    assert {"network.filters", "network.top", "network.units"} < {*searched_axes(spec)}
    assert "units" not in searched_axes(spec)
    found = {effect.axis for effect in effects(SIXTEEN, [], 1.0, numbers=NUMBERS)}
    assert found.isdisjoint({"units", "connection"})
    fixed = replace(SPACE, network={"filters": OwnNumber(Choices((8,)))})
    without = made_up_spec(space=fixed.to_json(), network=NETWORK)
    assert not [axis for axis in searched_axes(without) if "network" in axis]
    assert most_runs(spec) >= most_runs(without)


def test_a_number_of_the_recommended_stack_is_compared_with_the_usual_one() -> None:
    """Pairs on the confirmation's seeds show the planted effect of a number."""
    planted = Planted(effects={"network.filters": {16: -0.2}}, deviation=0.01)
    found = effect_of("network.filters", planted, CHAPTER_DEFAULT, SIXTEEN)
    assert (found.choice, found.alternative, found.kind) == (16, 8, "paired")
    assert found.word == "better"
    assert found.n_pairs >= 5
    assert found.effect is not None
    assert -0.25 < found.effect < -0.15


def test_the_default_has_the_usual_numbers() -> None:
    """If the chapter's default is recommended, its usual number is compared with another."""
    planted = Planted(effects={"network.filters": {16: 0.2}}, deviation=0.01)
    found = effect_of("network.filters", planted, CHAPTER_DEFAULT, SIXTEEN)
    assert (found.choice, found.alternative, found.kind) == (8, 16, "paired")
    assert found.word == "better"


def test_each_variant_changes_one_number_and_what_depends_on_it() -> None:
    """A variant has the other stack's numbers where its choice asks for more, and no others."""
    dense = CHAPTER_DEFAULT.but(network__filters=8, network__top="dense", network__units=20)
    changed = with_number(SIXTEEN, "network.top", dense, NUMBERS)
    assert changed.to_json() == {
        **SIXTEEN.to_json(),
        "network.top": "dense",
        "network.units": 20,
    }
    assert with_number(changed, "network.top", SIXTEEN, NUMBERS) == SIXTEEN
    spec, runs, stack = concluded(Planted(deviation=1e-4), CHAPTER_DEFAULT, SIXTEEN, dense)
    own = [a for a in ablations(spec, runs, stack) if a.axis.startswith("network.")]
    assert "network.filters" in {a.axis for a in own}
    labels = {r.label for r in runs if r.phase == CONFIRMATION}
    assert labels.intersection(a.label for a in own)
    assert all(a.label.startswith(f"{LABEL}network.") for a in own)


def test_a_number_that_the_ablations_speak_for_is_tested_on_fresh_seeds() -> None:
    """The default with another number challenges the default, and is recommended if better."""
    effects_of = {"network.filters": {16: -0.2}, "optimizer": {"adam": 0.5}}
    planted, slow = Planted(effects=effects_of, deviation=0.01), SIXTEEN.but(optimizer="adam")
    spec, runs, stack = concluded(planted, CHAPTER_DEFAULT, slow, most_replicates=10)
    assert stack["network.filters"] == 16
    assert stack["optimizer"] == CHAPTER_DEFAULT["optimizer"]
    found = recommend(spec, runs, {})
    assert any("network.filters 16 instead of 8" in reason for reason in found.reasons)
    effect = next(e for e in found.effects if e.axis == "network.filters")
    assert (effect.choice, effect.alternative, effect.word) == (16, 8, "better")
