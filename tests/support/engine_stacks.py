"""One small stack for each choice of the tables, and data to train it on."""

from __future__ import annotations

import numpy as np

from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.clippings import CLIPPINGS
from trainstack.spaces.normalizations import INPUT_NORMALIZATIONS, NORMALIZATIONS
from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.regularizers import MAX_NORMS, PENALTIES
from trainstack.spaces.schedules import SCHEDULES
from trainstack.spaces.shapes import CONNECTIONS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.structure import Structure, shaping_items

ROWS, FEATURES, CLASSES, BATCH, EPOCHS, SEED = 320, 12, 4, 32, 2, 7
BASE = Stack.of(units=[16, 16], batch_size=BATCH, activation="elu", initializer="he_normal")

STACKS = {
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
    "1cycle with momentum": BASE.but(schedule="1cycle", optimizer="momentum"),
    "tight clipping": BASE.but(clipping="norm", clipping__limit=0.05),
    "tight max-norm": BASE.but(max_norm="clip", max_norm__radius=0.3),
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
    return Structure(shaping_items(stack), FEATURES, outputs, task, (ROWS, ROWS), compiled)


def made_up_weights() -> np.ndarray:
    """Return uneven weights [ROWS], some of them 0."""
    return np.random.default_rng(1).integers(0, 4, ROWS).astype(np.float32) * 0.7
