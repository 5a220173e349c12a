"""The table of activations, each with its permitted initializers.

To add one, add a row (and a line in the test that lists the Keras names). The pairing is part of
the row because it is a property of the activation: an initializer is never drawn without one.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainstack.spaces.choices import Call, Layered, Parameter, table
from trainstack.spaces.initializers import GLOROT, HE, LECUN


@dataclass(frozen=True)
class Activation(Layered):
    """A hidden layer's nonlinearity.

    Attributes:
        initializers: Names of the initializers that go with it, the usual one first.
        saturation: Outputs below the first or above the second bound count as saturated, since
            the slope there is near zero. None if a bound does not exist.
    """

    initializers: tuple[str, ...] = ()
    saturation: tuple[float | None, float | None] = (None, None)


def _named(
    name: str,
    about: str,
    initializers: tuple[str, ...],
    saturation: tuple[float | None, float | None] = (None, None),
) -> Activation:
    """Return the row of an activation of Keras without parameters."""
    call = Call("layers.Activation", {"activation": name})
    return Activation(name, about, call=call, initializers=initializers, saturation=saturation)


ACTIVATIONS: dict[str, Activation] = table(
    _named("linear", "none: the sum itself", GLOROT),
    _named("tanh", "hyperbolic tangent", GLOROT, (-0.99, 0.99)),
    _named("sigmoid", "logistic", GLOROT, (0.01, 0.99)),
    _named("relu", "rectified linear unit (Nair and Hinton 2010)", HE),
    Activation(
        "leaky_relu",
        "ReLU with a small slope below zero (Maas et al. 2013)",
        (Parameter("negative_slope", 0.2, 0.001, 0.5),),
        call=Call("layers.LeakyReLU", numbers={"negative_slope": "negative_slope"}),
        initializers=HE,
    ),
    Activation(
        "rrelu",
        "leaky ReLU whose slope is random in training, its mean afterwards (Xu et al. 2015)",
        (Parameter("lower", 1 / 8, 0.0, 1.0), Parameter("upper", 1 / 3, 0.0, 1.0)),
        call=Call("RReLU", numbers={"lower": "lower", "upper": "upper"}),
        initializers=HE,
    ),
    Activation(
        "prelu",
        "leaky ReLU whose slope is trained, one per unit (He et al. 2015)",
        call=Call("layers.PReLU", {"alpha_initializer": "zeros"}),
        initializers=HE,
    ),
    Activation(
        "elu",
        "exponential linear unit (Clevert et al. 2016)",
        (Parameter("alpha", 1.0, 0.1, 3.0),),
        call=Call("layers.ELU", numbers={"alpha": "alpha"}),
        initializers=HE,
        saturation=(-0.99, None),
    ),
    _named(
        *("selu", "scaled ELU: keeps mean 0 and deviation 1 (Klambauer et al. 2017)", LECUN),
        (-1.74, None),
    ),
    _named("gelu", "Gaussian error linear unit (Hendrycks and Gimpel 2016)", HE),
    _named("swish", "x · sigmoid(x), also SiLU (Ramachandran et al. 2017)", HE),
    # LeCun's variance is that of RealMLP's form for regressions (Holzmüller et al. 2024).
    _named("mish", "x · tanh(softplus(x)) (Misra 2019)", (*HE, *LECUN)),
)
