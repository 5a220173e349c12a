"""Pretraining: the lower layers of a network, trained without its targets.

The autoencoder is the network up to its highest pretrained layer, with a linear layer of the
inputs' width above it. Its loss is the mean squared error of the prepared inputs of all training
rows, and of rows without a target if the data keeps some, each counted once. It has the stack's
layers with their dropout, penalties and max-norm, and is trained by Nadam at a constant rate of its
own, whatever the stack's optimizer and schedule: networks that differ in these start from the same
lower layers. It is a pure function of stack, seed and rows, so a trial that is taken up again has
the same weights.

The auxiliary task has the same network, whose outputs say instead which values of its inputs were
replaced by those of other rows, anew in each epoch. Its loss is the mean cross-entropy over them.

Reference: Bengio et al., "Greedy layer-wise training of deep networks", 2007.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import tensorflow as tf

from trainstack.spaces.pretrainings import pretraining_epochs
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.corruption import corrupting
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.losses import CORRUPTION, RECONSTRUCTION
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.training import batch_order, epoch_key

# Choice → what its lower layers are trained for.
TASKS = {"autoencoder": RECONSTRUCTION, "auxiliary": CORRUPTION}


def autoencoder_of(stack: Stack) -> Stack:
    """Return the stack of the network that pretrains a stack's lower layers."""
    units = stack.units[: stack["pretraining.layers"]]
    changes: dict[str, Any] = {
        **{"units": list(units), "pretraining": "none", "plan_fraction": 1.0},
        **{"optimizer": "nadam", "optimizer__learning_rate": stack["pretraining.learning_rate"]},
        **{"schedule": "constant", "clipping": "none", "averaging": "none", "decay": "none"},
        **{"regularizer_schedule": "constant", "stopping": "none", "head": "glorot"},
        **{"bias_rate": 1.0, "label_smoothing": 0.0},
    }
    for axis in ("input_scale", "embedding", "categories"):
        if f"{axis}.rate_factor" in dict(stack.items):
            changes[f"{axis}__rate_factor"] = 1.0
    if stack["dropout"] == "last" and len(units) < len(stack.units):
        changes["dropout"] = "none"  # the last layer is not part of it
    return stack.but(**changes)


def pretrain(
    program_of: Callable[..., tuple[Program, float]],
    progressed: Callable[[], None],
    program: Program,
    stack: Stack,
    seed: int,
    data: DeviceData | StreamedData,
    epochs: int,
) -> None:
    """Give a program that was reset for a run its pretrained layers, if its stack has any.

    Args:
        program_of: `Bench.program`, which makes and keeps the autoencoder's program.
        progressed: Called after each epoch.
        program: The program.
        stack: The run's stack.
        seed: The run's seed.
        data: The run's split, of which only the inputs of training rows, and rows without a target,
            are used.
        epochs: Maximum epochs of the study. Those of pretraining are in addition to the plan.
    """
    if stack["pretraining"] not in TASKS:
        return
    of, rows = autoencoder_of(stack), _reconstructing(data)
    count = pretraining_epochs(stack["pretraining.length"], stack.planned_epochs(epochs))
    trained, _ = program_of(of, rows, count, 1, data.features, TASKS[stack["pretraining"]])
    own = int(np.random.default_rng([seed, 7]).integers(2**31))
    trained.reset(of, own, data)  # bins are those of training rows
    batch = min(of["batch_size"], rows.rows[0])
    steps = rows.rows[0] // batch
    maker = RateMaker(of, steps, count)
    for epoch in range(1, count + 1):
        order = batch_order(own, epoch, rows.rows[0], steps, batch)
        now = rows
        if stack["pretraining"] == "auxiliary":
            drawn = np.random.default_rng([own, 8, epoch])
            now = corrupting(rows, stack["pretraining.corruption"], drawn)
        trained.epoch(of, now, *maker.plan(epoch, order, epoch_key(own, epoch)).arguments)
        progressed()
    lower = trained.weights()[:-2]  # without the kernel and bias of the last layer
    program.set_weights([*lower, *program.weights()[len(lower) :]])


def _reconstructing(data: DeviceData | StreamedData) -> DeviceData | StreamedData:
    """Return rows whose targets are their inputs: those without a target, then those to train.

    The validation part is the first row.
    """
    aside = data.x_unlabelled
    if isinstance(data, StreamedData):
        given = {field.name: getattr(data, field.name) for field in fields(StreamedData)}
        nothing = {"w_train": None, "w_valid": None, "inverse": None, "x_unlabelled": None}
        x = data.x_train if aside is None else np.concatenate([aside, data.x_train])
        replaced = {"x_train": x, "y_train": tf.zeros(len(x)), "x_valid": x[:1]}
        return _StreamedInputs(**{**given, **nothing, **replaced})
    # Padding stays at the end.
    x = data.x_train if aside is None else tf.concat([aside, data.x_train], 0)
    more = 0 if aside is None else len(aside)
    counts = None if data.counts is None else (data.counts[0] + more, 1)
    return DeviceData(
        x, x, x[:1], x[:1], counts=counts, others=data.others, categories=data.categories
    )


@dataclass(frozen=True)
class _StreamedInputs(StreamedData):
    """Streamed rows whose targets are their inputs."""

    def runs(self, order: np.ndarray) -> Iterator[tuple[slice, Any, Any, Any]]:
        for part, x, _, w in super().runs(order):
            yield part, x, x, w

    def validation(self) -> Iterator[tuple[Any, Any, Any]]:
        for x, _, w in super().validation():
            yield x, x, w
