"""The reference `realmlp-td-s` against its authors' package."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainstack.search.data.inputs import Inputs
from trainstack.search.data.preparation import fit
from trainstack.spaces.references import reference
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.engine.training import Training

pytestmark = pytest.mark.keras

FEATURES, CLASSES, TRAIN, VALID = 3, 3, 70, 20
UNITS, BATCH, EPOCHS, SEED = [8, 7, 6], 16, 12, 3

# The validation loss after each epoch (mean entropy; mean squared error of the standardised
# target) of pytabkit 1.8.0 with torch 2.14.1: RealMLP_TD_S_Classifier and RealMLP_TD_S_Regressor
# (n_epochs=12, hidden_sizes=[8, 7, 6], batch_size=16) on `made_up`, with the weights of `start` and
# the rows of `batch_order`. Six of the 70 training rows are left over in each epoch.
PYTABKIT = {
    "classification": [
        *(1.038698, 0.856115, 0.801791, 0.527325, 0.470007, 0.471727),
        *(0.460722, 0.434995, 0.430944, 0.39483, 0.382022, 0.37842),
    ],
    "regression": [
        *(0.542433, 0.325242, 0.262448, 0.160711, 0.40318, 0.36689),
        *(0.157037, 0.109937, 0.158594, 0.139515, 0.149546, 0.152546),
    ],
}


def made_up() -> tuple[np.ndarray, np.ndarray]:
    """Return skewed features [N, FEATURES] and a target of them, [N]; training rows come first."""
    rng = np.random.default_rng(0)
    x = rng.lognormal(size=(TRAIN + VALID, FEATURES)).astype(np.float32)
    noise = rng.standard_normal(len(x))
    return x, np.log(x[:, 0]) * np.sqrt(x[:, 1]) + x[:, 2] + 0.1 * noise


def start(outputs: int) -> list[np.ndarray]:
    """Return the initial weights: scale, then kernel and bias of each layer."""
    rng = np.random.default_rng(1)
    found, width = [np.ones(FEATURES, np.float32)], FEATURES
    for units in UNITS:
        found.append(rng.standard_normal((width, units), dtype=np.float32))
        found.append(rng.standard_normal(units, dtype=np.float32))
        width = units
    return [*found, np.zeros((width, outputs), np.float32), np.zeros(outputs, np.float32)]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("task", PYTABKIT)
def test_realmlp_trains_as_its_authors_package(task: str, compiled: bool) -> None:
    """From the same weights and batches every epoch has the validation loss of pytabkit."""
    stack = reference("realmlp-td-s", task).but(units=UNITS, batch_size=BATCH)
    x, y = made_up()
    x = fit(stack["preparation"], x[:TRAIN])(x).astype(np.float32)
    if task == "classification":
        y, outputs = np.digitize(y, [0.5, 2.0]).astype(np.int32), CLASSES
    else:
        y, outputs = ((y - y[:TRAIN].mean()) / y[:TRAIN].std()).astype(np.float32), 1
    trained, validated = (
        (tf.constant(x[rows]), tf.constant(y[rows])) for rows in (slice(TRAIN), slice(TRAIN, None))
    )
    data = DeviceData(*trained, *validated)
    shape = (Inputs(FEATURES), outputs, task, (TRAIN, VALID), compiled)
    program = Program(Structure(shaping_items(stack), *shape), stack)
    program.reset(stack, SEED)
    program.set_weights(start(outputs))
    training = Training(program, stack, SEED, EPOCHS, untrained_loss=1.0)
    training.run(data, lambda measured: None)
    found = [measured.valid_loss for measured in training.measurements]
    # The packages differ in where Adam adds its epsilon, of 1e-8.
    np.testing.assert_allclose(found, PYTABKIT[task], rtol=1e-4)
