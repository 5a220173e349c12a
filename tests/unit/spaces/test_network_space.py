"""Spaces of a user's own network: its numbers are drawn where they are asked for."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest

from trainstack.search.claims.designs import (
    breaks_self_normalization,
    self_normalizing_but_for_regularizers,
)
from trainstack.search.data_spec import DataSpec
from trainstack.search.own_network import OwnNetwork
from trainstack.search.queue.trial_record import trial_of
from trainstack.search.records import SEARCH, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.domains import Choices, Range
from trainstack.spaces.errors import RequestError
from trainstack.spaces.network_space import HELD, filled, for_network, held, put_into
from trainstack.spaces.own_numbers import OwnNumber
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES, network_stacks
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

NUMBERS = {
    "top": OwnNumber(Choices(("dense", "mean"))),
    "units": OwnNumber(Range(4, 32, log=True, integer=True), {"top": ("dense",)}),
    "share": OwnNumber(Range(0.1, 0.5)),
}
SPACE = for_network(Space.named("chapter"), NUMBERS, has_head=False, voids="a convolution")


def drawn(space: Space, count: int) -> list[tuple[Stack, dict]]:
    """Return some stacks of a space with their parameters."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    trials = [study.ask() for _ in range(count)]
    return [(space.draw(trial), dict(trial.params)) for trial in trials]


def test_a_conditional_number_is_drawn_with_its_choice_only() -> None:
    """A number is in a stack if the choice that it depends on is made, and else leaves no trace."""
    tops = set()
    for stack, parameters in drawn(SPACE, 40):
        top = stack["network.top"]
        tops.add(top)
        assert (stack.get("network.units") is not None) == (top == "dense")
        assert ("network.units" in parameters) == (top == "dense")
        assert 0.1 <= stack["network.share"] <= 0.5
    assert tops == {"dense", "mean"}


def test_a_stack_of_a_network_round_trips() -> None:
    """Stack, parameters and space are read back as they were written."""
    assert Space.from_json(SPACE.to_json()) == SPACE
    for stack, parameters in drawn(SPACE, 20):
        assert Stack.from_json(stack.to_json()) == stack
        encoded = SPACE.encode(stack)
        assert encoded is not None
        assert SPACE.draw(optuna.trial.FixedTrial(encoded)) == stack
        assert {k: v for k, v in encoded.items() if "network" in k} == {
            k: v for k, v in parameters.items() if "network" in k
        }


def test_what_a_network_does_not_have_is_held() -> None:
    """Widths and choices of dense layers stay at those of the chapter's default."""
    for stack, _ in drawn(SPACE, 20):
        assert stack.units == CHAPTER_DEFAULT.units
        assert all(stack[axis] == choice for axis, choice in HELD.items())
        assert stack["head"] == "glorot"
    realmlp = held(REFERENCES["realmlp-td-s"])
    assert all(realmlp[axis] == choice for axis, choice in HELD.items())
    assert realmlp["optimizer.learning_rate"] == 0.04


def test_a_search_for_a_network_starts_with_the_default_and_the_classics() -> None:
    """The first stacks are distinct, the chapter's default first, all as a network has them."""
    stacks = [stack for _, stack in network_stacks()]
    assert stacks[0] == CHAPTER_DEFAULT
    assert len(set(stacks)) == len(stacks) > 3
    assert all(held(stack) == stack for stack in stacks)


def test_a_network_that_is_not_plain_takes_the_self_normalizing_bundle_away() -> None:
    """Only plain dense layers are self-normalizing; a space of nothing else is refused."""
    assert list(SPACE.arms["bundle"]) == ["free"]
    assert SPACE.to_json()["voids"] == "a convolution"
    plain = for_network(Space.named("chapter"), {}, has_head=True, voids="")
    assert "self_normalizing" in plain.arms["bundle"]
    with pytest.raises(RequestError, match="recurrence"):
        for_network(Space.named("self-normalizing"), {}, has_head=True, voids="recurrence")


def test_no_stack_of_a_network_that_is_not_plain_counts_as_self_normalizing() -> None:
    """The chapter's default in a convolutional network is a plain stack, in a chain it is not."""
    spec = StudySpec("s", DataSpec("d", None, "classification", "", 4, ("a", "b")), SPACE.to_json())
    run = Run(SEARCH, 0, CHAPTER_DEFAULT, 0.5, 3)
    assert spec.voids == "a convolution"
    assert trial_of(run, spec.voids).family == "plain"
    assert trial_of(run).family == "self-normalizing"
    assert not self_normalizing_but_for_regularizers(CHAPTER_DEFAULT, spec.voids)
    assert breaks_self_normalization(CHAPTER_DEFAULT, spec.voids)
    assert not breaks_self_normalization(CHAPTER_DEFAULT, "")


def test_a_stack_of_a_users_has_the_numbers_that_its_network_asks_for() -> None:
    """Missing numbers are the usual ones, those not asked for are dropped, wrong ones refused."""
    found = put_into(Stack.of(network__top="mean", network__units=8), NUMBERS)
    assert {k: v for k, v in found.items if "network" in k} == {
        "network.top": "mean",
        "network.share": 0.1,
    }
    assert put_into(CHAPTER_DEFAULT, NUMBERS) == CHAPTER_DEFAULT
    assert filled(CHAPTER_DEFAULT, NUMBERS)["network.units"] == 4
    with pytest.raises(RequestError, match=r"network.tops is no number .* did you mean 'top'"):
        put_into(Stack.of(network__tops="mean"), NUMBERS)
    with pytest.raises(RequestError, match=r"network.units is 64; expected a value of"):
        put_into(Stack.of(network__units=64), NUMBERS)


def test_other_keys_and_values_are_refused() -> None:
    """A stack's numbers of a network are texts, numbers and truth values."""
    with pytest.raises(RequestError, match="filters is"):
        Stack.of(network__filters=[1])


def test_a_program_is_written_unless_fit_itself_is_the_users() -> None:
    """A training step of the user's own is in the user's file; a fit of its own may do anything."""
    network = OwnNetwork("mine.py", "build", "")
    assert not network.not_written
    assert not replace(network, fit="a reason", defines="train_step").not_written
    refused = replace(network, fit="a layer that cannot be traced", defines="fit").not_written
    assert refused == "its model has a fit of its own"
