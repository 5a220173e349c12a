"""Every draw of every named space builds."""

from __future__ import annotations

import keras
import pytest

from benchmarks.building import DRAWS, FEATURES, OUTPUTS, build, draws, in_pairs
from trainstack.search.data.inputs import Inputs
from trainstack.spaces.space import space_names
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import plain_model, training_model
from trainstack.workers.engine.layers import Context
from trainstack.workers.engine.model_plan import plan

pytestmark = pytest.mark.keras

# Keys that determine the engine's layers and their connections.
KIND = ("connection", "activation", "normalization", "input_normalization", "dropout")


@pytest.mark.parametrize("name", space_names())
def test_every_pair_of_choices_builds(name: str) -> None:
    """Each of 2,000 draws gives a plan; a subset with every pair of choices drawn together, and the
    deepest draw, become Keras networks of their own widths and depth.

    `python -m benchmarks.building` builds all of them.
    """
    drawn = draws(name)
    assert len(drawn) == DRAWS
    for stack in drawn:
        nodes = plan(stack, Inputs(FEATURES), OUTPUTS).nodes
        assert stack.units == tuple(n.arguments["units"] for n in nodes if n.role == "dense")
    chosen = in_pairs(drawn)
    assert {v for s in drawn for v in s.items if type(v[1]) is str} == {
        v for s in chosen for v in s.items if type(v[1]) is str
    }
    for stack in chosen:
        build(stack)


def test_every_kind_of_draw_builds_for_training() -> None:
    """Every pair of layers drawn together, in any space, becomes the engine's network, with the
    weights of the exported one."""
    for stack in in_pairs([stack for name in space_names() for stack in draws(name)], KIND):
        small = stack.but(units=[8] * min(2, len(stack.units)))
        with keras.StatelessScope(initialize_variables=False):
            ours, hidden = training_model(small, Inputs(FEATURES), OUTPUTS, Context())
            theirs = plain_model(small, Inputs(FEATURES), OUTPUTS)
        assert len(hidden) == len(small.units)
        assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]


def test_a_draw_of_a_hundred_layers_builds() -> None:
    """The deepest draw becomes a Keras network with a hundred hidden layers."""
    model = plain_model(Stack.of(units=[16] * 100), Inputs(FEATURES), OUTPUTS)
    dense = [layer for layer in model.layers if type(layer).__name__ == "Dense"]
    assert len(dense) == 101
