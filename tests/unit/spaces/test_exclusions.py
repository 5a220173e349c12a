"""Choices that exclude each other are refused in a stack, and never drawn together."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest

from tests.support.planted_study import RandomTrial
from trainstack.spaces.errors import RequestError
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

DECAYING = Stack.of(optimizer="adam", decay="decoupled", decay__weight_decay=0.3)


def space(**axes: Any) -> Space:
    """Return the quick space with other arms on these axes, and without its bundle."""
    document = Space.named("quick").to_json()
    return Space.from_json(
        {**document, "axes": {**document["axes"], "bundle": {"free": {}}, **axes}}
    )


def drawn(of: Space, count: int = 200) -> list[Stack]:
    """Draw random stacks."""
    trial = RandomTrial(np.random.default_rng(0))
    return [of.draw(trial) for _ in range(count)]


def test_adamw_has_no_other_decay() -> None:
    """The two decays together are refused in one line that says why."""
    with pytest.raises(RequestError) as refused:
        Stack.of(optimizer="adamw", decay="decoupled")
    assert str(refused.value) == (
        "decay is 'decoupled'; expected 'none': the optimizer adamw has a weight_decay of its own"
    )
    with pytest.raises(RequestError):
        Stack.from_json({**Stack.of(optimizer="adamw").to_json(), "decay": "decoupled"})


def test_a_change_takes_away_what_it_excludes() -> None:
    """A stack with decay that changes to AdamW has AdamW's only; asking for both is refused."""
    assert DECAYING.but(optimizer="adamw") == Stack.of(optimizer="adamw")
    assert DECAYING.but(optimizer="nadam")["decay.weight_decay"] == 0.3
    with pytest.raises(RequestError):
        DECAYING.but(optimizer="adamw", decay="decoupled")


def test_a_draw_has_one_decay_at_most() -> None:
    """Both optimizers are drawn, and decay with Adam only; each draw is encoded and drawn again."""
    of = space(
        optimizer={"adam": {}, "adamw": {}},
        decay={"none": {}, "decoupled": {"weight_decay": {"low": 1e-4, "high": 1.0, "log": True}}},
    )
    stacks = drawn(of)
    pairs = {(stack["optimizer"], stack["decay"]) for stack in stacks}
    assert pairs == {("adam", "none"), ("adam", "decoupled"), ("adamw", "none")}
    for stack in stacks[:50]:
        parameters = of.encode(stack)
        assert parameters is not None
        assert of.draw(optuna.trial.FixedTrial(parameters)) == stack


REGULARIZED = {
    "dropout": Stack.of(dropout="last"),
    "decay": DECAYING,
    "adamw": Stack.of(optimizer="adamw"),
}


UNPRETRAINED: list[dict[str, Any]] = [
    {"members": "shared"},
    {"bias": "data"},
    {"calibration": "weights"},
]


@pytest.mark.parametrize("choice", UNPRETRAINED)
def test_what_cannot_be_pretrained(choice: dict[str, Any]) -> None:
    """Shared members and fitted weights are refused beside pretraining, and take it away."""
    with pytest.raises(RequestError, match="several members, or initial weights fitted to rows"):
        Stack.of(pretraining="autoencoder", **choice)
    assert Stack.of(pretraining="autoencoder").but(**choice) == Stack.of(**choice)


def test_a_draw_pretrains_what_can_be() -> None:
    """Every other stack is not pretrained, whatever the space offers; nor is the bundle."""
    pretrained = {"autoencoder": {"length": {"low": 0.1, "high": 1.0}, "layers": 1}}
    of = space(
        members={"one": {}, "shared": {}},
        bias={"zeros": {}, "data": {}},
        pretraining=pretrained,
    )
    stacks = drawn(of)
    assert len({(stack["members"], stack["bias"]) for stack in stacks}) == 4
    for stack in stacks[:100]:
        fits = (stack["members"], stack["bias"]) == ("one", "zeros")
        assert stack["pretraining"] == ("autoencoder" if fits else "none")
        parameters = of.encode(stack)
        assert parameters is not None
        assert of.draw(optuna.trial.FixedTrial(parameters)) == stack
    for choice in UNPRETRAINED:
        with pytest.raises(RequestError):
            Stack.of(pretraining="auxiliary", **choice)
    for stack in drawn(space(pretraining=pretrained, bundle={"self_normalizing": {}}), 20):
        assert stack["pretraining"] == "none"


@pytest.mark.parametrize("name", REGULARIZED)
def test_a_schedule_of_regularizers_needs_one(name: str) -> None:
    """With dropout or a decay it may fall; a change that takes them away takes the schedule."""
    falling = REGULARIZED[name].but(regularizer_schedule="flat_cosine")
    bare = falling.but(dropout="none", decay="none", optimizer="adam")
    assert bare["regularizer_schedule"] == "constant"
    with pytest.raises(RequestError, match="neither dropout nor decay"):
        bare.but(regularizer_schedule="flat_cosine")


def test_a_draw_schedules_regularizers_only_where_there_are_some() -> None:
    """Every other stack is constant, whatever the space offers."""
    stacks = drawn(
        space(
            optimizer={"adam": {}, "adamw": {}},
            dropout={"none": {}, "all": {}},
            regularizer_schedule={"flat_cosine": {}},
        )
    )
    assert len({(stack["optimizer"], stack["dropout"]) for stack in stacks}) == 4
    for stack in stacks:
        bare = (stack["optimizer"], stack["dropout"]) == ("adam", "none")
        assert stack["regularizer_schedule"] == ("constant" if bare else "flat_cosine")
