"""One small stack for each choice of the tables, and data to train it on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tensorflow as tf

from trainstack.search.data.inputs import Inputs
from trainstack.search.metrics.losses import LOSSES
from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.clippings import CLIPPINGS
from trainstack.spaces.embeddings import EMBEDDINGS
from trainstack.spaces.normalizations import INPUT_NORMALIZATIONS, NORMALIZATIONS
from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.regularizers import DECAYS, MAX_NORMS, PENALTIES
from trainstack.spaces.schedules import SCHEDULES
from trainstack.spaces.shapes import CONNECTIONS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure, shaping_items

ROWS, FEATURES, CLASSES, BATCH, EPOCHS, SEED = 320, 12, 4, 32, 2, 7
# Embeddings of numbers apply to all features but two, which stand for a categorical column.
INPUTS = Inputs(FEATURES - 2, 2, (2,))
BASE = Stack.of(units=[16, 16], batch_size=BATCH, activation="elu", initializer="he_normal")

_STACKS = {
    **{
        f"activation {row.name}": BASE.but(activation=row.name, initializer=row.initializers[0])
        for row in ACTIVATIONS.values()
        if row.name != "rrelu"  # random in training: tested by its statistics
    },
    **{f"optimizer {name}": BASE.but(optimizer=name) for name in OPTIMIZERS},
    **{f"schedule {name}": BASE.but(schedule=name) for name in SCHEDULES},
    **{f"normalization {name}": BASE.but(normalization=name) for name in NORMALIZATIONS},
    **{f"input {name}": BASE.but(input_normalization=name) for name in INPUT_NORMALIZATIONS},
    **{f"penalty {name}": BASE.but(penalty=name) for name in PENALTIES},
    **{f"max-norm {name}": BASE.but(max_norm=name) for name in MAX_NORMS},
    **{f"clipping {name}": BASE.but(clipping=name) for name in CLIPPINGS},
    **{f"connection {name}": BASE.but(connection=name) for name in CONNECTIONS},
    **{f"embedding {name}": BASE.but(embedding=name) for name in EMBEDDINGS},
    "1cycle with momentum": BASE.but(schedule="1cycle", optimizer="momentum"),
    **{f"decay {name}": BASE.but(decay=name) for name in DECAYS},
    "decay with momentum": BASE.but(
        **{"optimizer": "momentum", "decay": "decoupled", "decay__weight_decay": 0.5},
        **{"normalization": "after", "clipping": "norm", "penalty": "l2"},
    ),
    "falling decay": BASE.but(
        decay="decoupled", decay__weight_decay=0.5, regularizer_schedule="flat_cosine"
    ),
    "falling decay of AdamW": BASE.but(
        optimizer="adamw", optimizer__weight_decay=0.5, regularizer_schedule="flat_cosine"
    ),
    "large epsilon": BASE.but(optimizer__epsilon=0.01),
    "label smoothing": BASE.but(label_smoothing=0.15),
    "tight clipping": BASE.but(clipping="norm", clipping__limit=0.05),
    "tight max-norm": BASE.but(max_norm="clip", max_norm__radius=0.3),
    **{
        f"bias rate, {optimizer}": BASE.but(bias_rate=0.1, optimizer=optimizer)
        for optimizer in ("momentum", "adamw", "nadam")
    },
    "embedding, all rates": BASE.but(
        **{"embedding": "piecewise", "embedding__rate_factor": 3.0, "bias_rate": 0.1},
        **{"input_scale": "learned", "optimizer": "momentum"},
    ),
    "categories": BASE.but(categories="embedded", categories__levels=1, categories__size=3),
    "categories, all rates": BASE.but(
        **{"categories": "embedded", "categories__levels": 1, "categories__rate_factor": 3.0},
        **{"embedding": "piecewise", "bias_rate": 0.1, "optimizer": "momentum"},
    ),
    "categories, decay": BASE.but(
        **{"categories": "embedded", "categories__levels": 1, "input_scale": "learned"},
        **{"decay": "decoupled", "decay__weight_decay": 0.5, "optimizer": "momentum"},
        **{"input_scale__rate_factor": 1.0},
    ),
    "input scale, momentum": BASE.but(input_scale="learned", optimizer="momentum"),
    "input scale, nesterov": BASE.but(
        input_scale="learned", input_normalization="batch", bias_rate=0.1, optimizer="nesterov"
    ),
    "head zeros": BASE.but(head="zeros"),
}
# The usual choice of every table is that of BASE, whose stack is one of them.
STACKS = {
    name: stack
    for name, stack in _STACKS.items()
    if name == "activation elu" or stack.stack_id != BASE.stack_id
}

# Stacks whose training Keras's own layers do not express.
OWN_LAYERS = {
    "members": BASE.but(members="shared", members__count=3, normalization="after"),
    "members, ntk": BASE.but(
        **{"members": "shared", "members__count": 4, "parametrization": "ntk"},
        **{"input_scale": "learned", "input_normalization": "batch", "label_smoothing": 0.1},
    ),
    "independent": BASE.but(
        **{"members": "independent", "members__count": 3, "normalization": "after"},
        **{"clipping": "norm", "clipping__limit": 0.05},
    ),
    "ntk": BASE.but(parametrization="ntk", normalization="before"),
    "pretrained": BASE.but(
        **{"pretraining": "autoencoder", "pretraining__layers": 1, "pretraining__frozen": 0.5},
        **{"normalization": "after", "bias_rate": 0.1, "dropout": "last"},
    ),
    "ntk, penalty and max-norm": BASE.but(
        **{"parametrization": "ntk", "penalty": "l1_l2", "max_norm": "clip"},
        **{"head": "zeros", "input_scale": "learned"},
    ),
}


def made_up_data(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs [ROWS, FEATURES] and learnable labels or targets [ROWS].

    Of `multilabel` and `regressions` there are CLASSES targets, [ROWS, CLASSES].
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, FEATURES)).astype(np.float32)
    hidden = x @ rng.standard_normal((FEATURES, CLASSES))
    if task == "classification":
        return x, hidden.argmax(1).astype(np.int32)
    if task == "multilabel":
        return x, (hidden > 0.5).astype(np.int32)
    if task == "regressions":
        return x, (hidden / hidden.std(axis=0)).astype(np.float32)
    return x, (hidden[:, 0] / hidden[:, 0].std()).astype(np.float32)


def structure_of(stack: Stack, task: str, compiled: bool = False) -> Structure:
    """Return the key of a program over the made-up data."""
    outputs = 1 if task == "regression" else CLASSES
    task = "regression" if task == "regressions" else task
    return Structure(shaping_items(stack), INPUTS, outputs, task, (ROWS, ROWS), compiled)


def made_up_weights() -> np.ndarray:
    """Return uneven weights [ROWS], some of them 0."""
    return np.random.default_rng(1).integers(0, 4, ROWS).astype(np.float32) * 0.7


# Number of networks that are trained at once.
NETWORKS = 3


def splits(weighted: bool = False, uneven: bool = False, loss: str = "") -> list[DeviceData]:
    """Return one split for each network: other rows, and of other lengths if `uneven`."""
    x, y = made_up_data(LOSSES[loss].task if loss else "classification")
    y = np.abs(y) if loss == "poisson" else y
    w = made_up_weights()
    found = []
    for k in range(NETWORKS):
        train = np.roll(np.arange(ROWS), 40 * k)[: 200 - 33 * k * uneven]
        valid = np.setdiff1d(np.arange(ROWS), train)[: 100 - 9 * k * uneven]
        parts = [tf.constant(part[rows]) for rows in (train, valid) for part in (x, y)]
        weights = [tf.constant(w[rows]) if weighted else None for rows in (train, valid)]
        found.append(DeviceData(*parts, *weights))
    return found


def program_of(stack: Stack, **changes: object) -> Program:
    """Return a program for the made-up data."""
    task = LOSSES[str(changes["loss"])].task if changes.get("loss") else "classification"
    return Program(replace(structure_of(stack, task), **changes), stack)
