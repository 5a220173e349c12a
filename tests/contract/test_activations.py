"""Every activation's layer computes its formula. Each row has a line here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import erf, expit

from trainstack.search.data.inputs import Inputs
from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.stack import Stack

pytestmark = pytest.mark.keras

X = np.linspace(-3.0, 3.0, 25)
_SCALE, _ALPHA = 1.0507009873554805, 1.6732632423543772

# Name → the formula at prediction, with the numbers' defaults.
FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": expit,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x < 0, 0.2 * x, x),
    "rrelu": lambda x: np.where(x < 0, x * (1 / 8 + 1 / 3) / 2, x),
    "prelu": lambda x: np.maximum(x, 0),  # its slope starts at 0
    "elu": lambda x: np.where(x < 0, np.expm1(x), x),
    "selu": lambda x: _SCALE * np.where(x < 0, _ALPHA * np.expm1(x), x),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "swish": lambda x: x * expit(x),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
}


def test_every_activation_has_a_formula() -> None:
    """FORMULAS has exactly the activations of the table."""
    assert set(FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_computes_its_formula(name: str) -> None:
    """The layers of the trained network and of the exported network compute the formula."""
    import keras

    from trainstack.workers.engine.build import plain_layer, training_model
    from trainstack.workers.engine.layers import Context
    from trainstack.workers.engine.model_plan import plan

    stack = Stack.of(activation=name, units=[25])
    (node,) = [n for n in plan(stack, Inputs(25), 1).nodes if n.role == "activation"]
    exported = plain_layer(node)(X[None].astype(np.float32))
    np.testing.assert_allclose(exported[0], FORMULAS[name](X), atol=2e-6)

    network, (hidden,) = training_model(stack, Inputs(25), 1, Context())
    network.layers[1].set_weights([np.eye(25), np.zeros(25)])
    trained = keras.Model(network.inputs[0], hidden)(X[None].astype(np.float32))
    np.testing.assert_allclose(trained[0], FORMULAS[name](X), atol=2e-6)
