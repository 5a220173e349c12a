"""The table of optimizers. To add one, add a row; its searched ranges are in the named spaces.

Each row's `call` names the Keras class and maps its arguments to parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trainstack.spaces.choices import Call, Choice, Parameter, table


@dataclass(frozen=True)
class Optimizer(Choice):
    """A rule that turns gradients into steps.

    Attributes:
        call: The Keras class with its arguments.
        usual: The range of learning rates to search unless a space specifies another.
        cycles: Parameter that a 1cycle schedule moves opposite to the rate, or None.
    """

    call: Call = field(default_factory=lambda: Call(""))
    usual: tuple[float, float] = (1e-4, 1e-1)
    cycles: str | None = None


def _rate(default: float) -> Parameter:
    return Parameter("learning_rate", default, 1e-8, 100.0)


def _row(
    name: str,
    about: str,
    keras: str,
    rate: float,
    usual: tuple[float, float],
    *knobs: Parameter,
    cycles: str | None = None,
    **literal: object,
) -> Optimizer:
    """Return the row of an optimizer whose Keras arguments have the parameters' names."""
    parameters = (_rate(rate), *knobs)
    call = Call(f"optimizers.{keras}", literal, {p.name: p.name for p in parameters})
    return Optimizer(name, about, parameters, call=call, usual=usual, cycles=cycles)


_MOMENTUM = Parameter("momentum", 0.9, 0.0, 0.9999)
_BETA_1 = Parameter("beta_1", 0.9, 0.0, 0.9999)
_BETA_2 = Parameter("beta_2", 0.999, 0.0, 0.999999)
_EPSILON = Parameter("epsilon", 1e-7, 1e-12, 0.1)

OPTIMIZERS: dict[str, Optimizer] = table(
    _row("sgd", "plain gradient descent", "SGD", 0.01, (1e-3, 1.0)),
    _row(
        *("momentum", "SGD with momentum (Polyak 1964)", "SGD", 0.01, (3e-4, 0.3)),
        *(_MOMENTUM,),
        cycles="momentum",
    ),
    _row(
        *("nesterov", "Nesterov accelerated gradient (Nesterov 1983)", "SGD", 0.01, (3e-4, 0.3)),
        *(_MOMENTUM,),
        cycles="momentum",
        nesterov=True,
    ),
    _row("adagrad", "AdaGrad (Duchi et al. 2011)", "Adagrad", 0.01, (1e-3, 1.0), _EPSILON),
    _row(
        *("rmsprop", "RMSProp (Tieleman and Hinton 2012)", "RMSprop", 0.001, (1e-5, 1e-2)),
        *(Parameter("rho", 0.9, 0.0, 0.9999), _EPSILON),
    ),
    _row(
        *("adam", "Adam (Kingma and Ba 2015)", "Adam", 0.001, (1e-5, 1e-2)),
        *(_BETA_1, _BETA_2, _EPSILON),
    ),
    _row(
        *("adamax", "Adamax (Kingma and Ba 2015)", "Adamax", 0.001, (1e-5, 3e-2)),
        *(_BETA_1, _BETA_2, _EPSILON),
    ),
    _row(
        *("nadam", "Nadam (Dozat 2016)", "Nadam", 0.001, (1e-5, 1e-2)),
        *(_BETA_1, _BETA_2, _EPSILON),
    ),
    _row(
        *("adamw", "Adam, decoupled decay (Loshchilov and Hutter 2019)", "AdamW"),
        *(0.001, (1e-5, 1e-2), _BETA_1, _BETA_2),
        *(Parameter("weight_decay", 0.004, 0.0, 1.0), _EPSILON),
    ),
    _row(
        *("ftrl", "follow the regularized leader (McMahan et al. 2013)", "Ftrl", 0.01),
        *((1e-3, 1.0),),
        Parameter("l1_regularization_strength", 0.0, 0.0, 1.0),
        Parameter("l2_regularization_strength", 0.0, 0.0, 1.0),
    ),
)
