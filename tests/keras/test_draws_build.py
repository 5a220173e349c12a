"""Every draw of every named space builds."""

from __future__ import annotations

import optuna
import pytest

from spaces.space import Space, space_names
from spaces.stack import Stack
from workers.build import make_optimizer, plain_model
from workers.plan import plan

pytestmark = pytest.mark.keras

DRAWS = 2_000
FEATURES, OUTPUTS = 12, 4
# What decides which layers are made and how they are joined; widths and rates are numbers in them.
KIND = ("connection", "activation", "normalization", "input_normalization", "dropout")
KIND = (*KIND, "penalty", "max_norm")


def kind_of(stack: Stack) -> tuple:
    """Return what decides a stack's layers, and whether it has one hidden layer or more."""
    return (*(stack[axis] for axis in KIND), min(len(stack.units), 2))


@pytest.mark.parametrize("name", space_names())
def test_every_kind_of_draw_builds(name: str) -> None:
    """Each of 2,000 draws lays out as a plan, and one of each kind becomes a Keras network."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    space, kinds, optimizers = Space.named(name), {}, {}
    for _ in range(DRAWS):
        stack = space.draw(study.ask())
        widths = [
            node.arguments["units"]
            for node in plan(stack, FEATURES, OUTPUTS).nodes
            if node.role == "dense"
        ]
        assert tuple(widths) == stack.units
        kinds.setdefault(kind_of(stack), stack)
        optimizers.setdefault(stack["optimizer"], stack)
    for stack in kinds.values():
        small = stack.but(units=[8] * min(len(stack.units), 3))
        model = plain_model(small, FEATURES, OUTPUTS)
        assert model.output_shape == (None, OUTPUTS)
    for stack in optimizers.values():
        make_optimizer(stack)


def test_a_draw_of_a_hundred_layers_builds() -> None:
    """The deepest draw becomes a Keras network with a hundred hidden layers."""
    model = plain_model(Stack.of(units=[16] * 100), FEATURES, OUTPUTS)
    dense = [layer for layer in model.layers if type(layer).__name__ == "Dense"]
    assert len(dense) == 101
