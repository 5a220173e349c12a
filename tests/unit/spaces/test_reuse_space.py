"""A space with the layers of a saved model: what it draws, and what a stack may reuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest

from tests.support.planted_study import RandomTrial
from trainstack.spaces.axes import PLAIN_LAYERS
from trainstack.spaces.errors import RequestError
from trainstack.spaces.for_data import with_reused
from trainstack.spaces.reusable import Reusable
from trainstack.spaces.space import Space, space_names
from trainstack.spaces.stack import Stack

LAYERS = Reusable((48, 20), "selu")


@pytest.mark.parametrize("name", space_names())
def test_every_space_draws_stacks_that_fit(name: str) -> None:
    """A good share of draws reuses layers, all of which fit; the others are those of before."""
    space = with_reused(Space.named(name), LAYERS)
    trial = RandomTrial(np.random.default_rng(0))
    stacks = [space.draw(trial) for _ in range(100)]
    reusing = [stack for stack in stacks if stack["pretraining"] == "reuse"]
    assert 15 < len(reusing) < 85
    assert {stack["pretraining.layers"] for stack in reusing} == {1, 2}
    for stack in reusing:
        assert LAYERS.fits(stack)
        assert stack.units == (48, 20)
    offered = Space.named(name).arms["pretraining"]
    assert {s["pretraining"] for s in stacks if s not in reusing} <= {*offered}


def test_a_stack_is_encoded_and_drawn_again() -> None:
    """The parameters of every draw, of either kind, draw it again; so does the space's document."""
    space = Space.from_json(with_reused(Space.named("quick"), LAYERS).to_json())
    assert space.reused == LAYERS
    assert set(space.to_json()["axes"]["pretraining"]) == {"none", "reuse"}
    trial = RandomTrial(np.random.default_rng(1))
    for stack in [space.draw(trial) for _ in range(40)]:
        parameters = space.encode(stack)
        assert parameters is not None
        assert space.draw(optuna.trial.FixedTrial(parameters)) == stack
    assert space.encode(Stack.of(units=[48], pretraining="reuse")) is None


def test_a_space_keeps_its_own_arms() -> None:
    """Numbers of an own arm stay, as does the autoencoder, which no reusing stack has."""
    arms = {"autoencoder": {"layers": 1}, "reuse": {"layers": 2, "frozen": 0.0}}
    space = with_reused(Space.named("quick").with_axis("pretraining", arms), LAYERS)
    trial = RandomTrial(np.random.default_rng(0))
    stacks = [space.draw(trial) for _ in range(80)]
    found = {stack["pretraining"] for stack in stacks}
    assert found == {"none", "autoencoder", "reuse"}
    for stack in stacks:
        if stack["pretraining"] == "reuse":
            assert (stack["pretraining.layers"], stack["pretraining.frozen"]) == (2, 0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"normalization": "before"},
        {"max_norm": "clip"},
        {"members": "shared"},
        {"parametrization": "ntk"},
        {"bias": "data"},
    ],
)
def test_only_plain_layers_are_reused(changes: dict[str, Any]) -> None:
    """Other layers are refused in one line, and take the choice away."""
    stack = Stack.of(activation="relu", pretraining="reuse")
    with pytest.raises(RequestError, match="only dense layers with an activation are reused"):
        Stack.of(activation="relu", pretraining="reuse", **changes)
    assert stack.but(**changes) == Stack.of(activation="relu", **changes)
    assert all(stack[axis] == choice for axis, choice in PLAIN_LAYERS.items())


def test_which_layers_fit() -> None:
    """A stack fits if its reused layers are the model's first, with its activation."""
    stack = Stack.of(units=[48, 9], pretraining="reuse")
    assert LAYERS.fits(stack)
    assert not LAYERS.fits(stack.but(pretraining__layers=2))
    assert not LAYERS.fits(stack.but(units=[20, 48]))
    assert not LAYERS.fits(stack.but(activation="relu", initializer="he_normal"))
    assert not LAYERS.fits(stack.but(units=[48, 20, 5], pretraining__layers=3))
    assert LAYERS.fits(stack.but(units=[20], pretraining="none"))


@pytest.mark.parametrize(
    "reused",
    [{"units": [48]}, {"units": [0], "activation": "selu"}, {"units": [4], "activation": "x"}],
)
def test_a_faulty_document_is_refused(reused: Any) -> None:
    """Layers without widths or a known activation are, and so is the bundle without layers."""
    document = with_reused(Space.named("quick"), LAYERS).to_json()
    for faulty in ({**document, "reused": reused}, {**document, "reused": None}):
        with pytest.raises(RequestError):
            Space.from_json(faulty)
