"""The axes of a stack in their canonical order: each a table of choices, or one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.averagings import AVERAGINGS
from trainstack.spaces.categories import CATEGORIES
from trainstack.spaces.choices import Choice, Parameter
from trainstack.spaces.clippings import CLIPPINGS
from trainstack.spaces.dense_layers import (
    BIASES,
    CALIBRATIONS,
    HEADS,
    INPUT_SCALES,
    PARAMETRIZATIONS,
)
from trainstack.spaces.embeddings import EMBEDDINGS
from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.members import MEMBERS
from trainstack.spaces.normalizations import INPUT_NORMALIZATIONS, NORMALIZATIONS
from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.preparations import PREPARATIONS, STANDARD
from trainstack.spaces.pretrainings import PRETRAININGS
from trainstack.spaces.regularizers import DECAYS, DROPOUTS, MAX_NORMS, PENALTIES
from trainstack.spaces.schedules import REGULARIZER_SCHEDULES, SCHEDULES
from trainstack.spaces.shapes import CONNECTIONS, SHAPES
from trainstack.spaces.stopping import STOPPINGS

# Axis → its table. The order is that of a stack's JSON and of a draw.
CHOICE_AXES: dict[str, Mapping[str, Choice]] = {
    "connection": CONNECTIONS,
    "activation": ACTIVATIONS,
    "initializer": INITIALIZERS,
    "normalization": NORMALIZATIONS,
    "input_normalization": INPUT_NORMALIZATIONS,
    "dropout": DROPOUTS,
    "penalty": PENALTIES,
    "max_norm": MAX_NORMS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "clipping": CLIPPINGS,
    "stopping": STOPPINGS,
    "averaging": AVERAGINGS,
    "decay": DECAYS,
    "regularizer_schedule": REGULARIZER_SCHEDULES,
    "embedding": EMBEDDINGS,
    "input_scale": INPUT_SCALES,
    "parametrization": PARAMETRIZATIONS,
    "head": HEADS,
    "bias": BIASES,
    "calibration": CALIBRATIONS,
    "preparation": PREPARATIONS,
    "members": MEMBERS,
    "categories": CATEGORIES,
    "pretraining": PRETRAININGS,
}

# Axes that are one number. Plan fraction: the planned share of a study's maximum epochs, over which
# the schedule is stretched. Label smoothing: the share of a row's label that training spreads
# evenly over all classes (Szegedy et al. 2016); regressions and scores ignore it. Bias rate: factor
# on the learning rate of the dense layers' biases (0.1 in Holzmüller et al. 2024; 0: they stay).
NUMBER_AXES: dict[str, Parameter] = {
    "batch_size": Parameter("batch_size", 32, 1, 65_536, integer=True),
    "plan_fraction": Parameter("plan_fraction", 1.0, 0.01, 1.0),
    "label_smoothing": Parameter("label_smoothing", 0.0, 0.0, 0.2),
    "bias_rate": Parameter("bias_rate", 1.0, 0.0, 100.0),
}

# Keys that the chapter's stacks do not have, with the values that such a stack implies. A document
# may leave them out, and at these values they do not count in a stack's id.
BEYOND_CHAPTER: dict[str, Any] = {
    "optimizer.epsilon": 1e-7,
    "embedding": "none",
    "label_smoothing": 0.0,
    "averaging": "none",
    "decay": "none",
    "regularizer_schedule": "constant",
    "input_scale": "none",
    "parametrization": "standard",
    "head": "glorot",
    "bias": "zeros",
    "calibration": "none",
    "bias_rate": 1.0,
    "preparation": STANDARD,
    "members": "one",
    "categories": "one_hot",
    "pretraining": "none",
}

# The hidden layers' widths: a list in a stack, a shape in a space.
UNITS_AXIS = "units"
SHAPE_TABLE: Mapping[str, Any] = SHAPES

# A space's first question: the self-normalizing bundle, or every choice free.
BUNDLE_AXIS = "bundle"
BUNDLES: dict[str, str] = {
    "self_normalizing": "SELU, LeCun normal, a plain stack, no regularizer but alpha dropout",
    "free": "every choice on its own, within the pairing of initializer and activation",
    "reused": "widths and activation of the saved model of --reuse, some of whose layers it takes",
}

# A chain of dense layers, with nothing before the first or after the last.
CHAIN: dict[str, str] = {
    "connection": "plain",
    "input_normalization": "none",
    "embedding": "none",
    "input_scale": "none",
    "parametrization": "standard",
    "bias": "zeros",
    "calibration": "none",
    "categories": "one_hot",
}

# Choices of a stack whose layers may be those of another network: dense layers alone.
PLAIN_LAYERS: dict[str, str] = {
    **CHAIN,
    "normalization": "none",
    "max_norm": "none",
    "members": "one",
}

# Choices fixed by the self-normalizing bundle (Klambauer et al. 2017; chapter section 1).
SELF_NORMALIZING: dict[str, str] = {
    **CHAIN,
    "activation": "selu",
    "initializer": "lecun_normal",
    "normalization": "none",
    "penalty": "none",
    "max_norm": "none",
    "decay": "none",
    "preparation": STANDARD,
    "pretraining": "none",
}

AXES: tuple[str, ...] = (UNITS_AXIS, *CHOICE_AXES, *NUMBER_AXES)


def only_choice(axis: str, chosen: Mapping[str, Any]) -> str | None:
    """Return the one choice that an axis has beside these choices, or None if it is free.

    AdamW decays the weights itself, without dropout and decay there is nothing to schedule, and
    dense layers before batch normalization have no biases. Neither weights fitted to rows, which it
    would replace, nor several members are pretrained; only dense layers alone are reused.

    Args:
        axis: An axis of `CHOICE_AXES`.
        chosen: The choices on the axes before it, and on the axis itself if it is decided.
    """
    if axis == "decay" and chosen["optimizer"] == "adamw":
        return "none"
    if axis == "bias" and chosen["normalization"] == "before":
        return "zeros"
    if axis == "pretraining":
        fitted = chosen["bias"] == "data" or chosen["calibration"] == "weights"
        more = fitted or chosen["members"] != "one"
        if chosen.get(axis) == "reuse":
            more = any(chosen[other] != choice for other, choice in PLAIN_LAYERS.items())
        return "none" if more else None
    if axis == "regularizer_schedule":
        decays = chosen["decay"] != "none" or chosen["optimizer"] == "adamw"
        return None if decays or chosen["dropout"] != "none" else "constant"
    return None
