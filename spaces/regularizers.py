"""The tables of regularizers: dropout, weight penalties, max-norm, decay.

Dropout and max-norm: Srivastava et al., "Dropout", 2014. With SELU dropout is alpha dropout
(Klambauer et al., "Self-Normalizing Neural Networks", 2017), except with the NTK parametrization,
whose networks have plain dropout (RealMLP: Holzmüller et al., 2024). Early stopping is always on.
"""

from __future__ import annotations

from trainstack.spaces.choices import Choice, Parameter, table

_RATE = Parameter("rate", 0.2, 0.0, 0.5)
_L1 = Parameter("l1", 1e-5, 0.0, 1.0)
_L2 = Parameter("l2", 1e-4, 0.0, 1.0)
_DECAY = Parameter("weight_decay", 0.01, 0.0, 1.0)

DROPOUTS: dict[str, Choice] = table(
    Choice("none", "no dropout"),
    Choice("all", "on the input and after every hidden layer", (_RATE,)),
    Choice("last", "after the last hidden layer only", (_RATE,)),
    Choice("hidden", "after every hidden layer, not on the input", (_RATE,)),
)

PENALTIES: dict[str, Choice] = table(
    Choice("none", "no weight penalty"),
    Choice("l1", "l1 · sum |w| of every hidden kernel", (_L1,)),
    Choice("l2", "l2 · sum w² of every hidden kernel", (_L2,)),
    Choice("l1_l2", "both", (_L1, _L2)),
)

MAX_NORMS: dict[str, Choice] = table(
    Choice("none", "no bound on the incoming weights"),
    Choice(
        "clip",
        "each hidden neuron's incoming weight vector clipped to this norm after each step",
        (Parameter("radius", 1.0, 0.01, 100.0),),
    ),
)

DECAYS: dict[str, Choice] = table(
    Choice("none", "no decay beside the optimizer's own"),
    Choice(
        "decoupled",
        "before each step every kernel times 1 - rate · weight_decay (Loshchilov and Hutter 2019)",
        (_DECAY,),
    ),
)
