"""The usual alternative: a stack trained by Keras `fit`."""

from __future__ import annotations

import keras
import numpy as np

from trainstack.search.data.channels import by_channel
from trainstack.search.data.inputs import Inputs
from trainstack.search.own_network import OwnNetwork
from trainstack.search.spec import StudySpec
from trainstack.spaces.schedules import SCHEDULES, patience_epochs
from trainstack.spaces.stack import Stack
from trainstack.spaces.stopping import stopping_of
from trainstack.workers.engine.build import make_optimizer, plain_model
from trainstack.workers.engine.own_network import built


class PerStep(keras.callbacks.Callback):
    """A step-wise schedule as a Keras user would write it."""

    def __init__(self, stack: Stack, steps: int) -> None:
        super().__init__()
        self.stack, self.steps, self.step = stack, steps, 0
        self.factor = SCHEDULES[stack["schedule"]].factor
        self.numbers = stack.numbers("schedule")

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        """Set the learning rate."""
        factor = self.factor(self.step, self.steps, self.numbers)
        self.model.optimizer.learning_rate = self.stack["optimizer.learning_rate"] * factor
        self.step += 1


def fit(
    stack: Stack,
    arrays: tuple[np.ndarray, ...],
    outputs: int,
    epochs: int,
    early: bool = True,
    network: OwnNetwork | None = None,
    **compiling: object,
) -> keras.callbacks.History:
    """Train a stack with `fit`.

    Args:
        stack: Stack to train.
        arrays: x_train, y_train, x_valid, y_valid; standardised.
        outputs: Number of classes.
        epochs: Maximum number of epochs.
        early: Whether to stop early by the stack's rule.
        network: Network that the stack is put into; None: dense layers.
        **compiling: Additional arguments of `compile`.
    """
    x_train, y_train, x_valid, y_valid = arrays
    inputs = Inputs(x_train.shape[1])
    model = plain_model(stack, inputs, outputs)
    if network is not None:
        model = built(network, stack, outputs).model
    optimizer = make_optimizer(stack)
    if stack["clipping"] == "value":
        optimizer.clipvalue = stack["clipping.limit"]
    elif stack["clipping"] == "norm":
        optimizer.global_clipnorm = stack["clipping.limit"]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], **compiling)
    callbacks: list[keras.callbacks.Callback] = []
    if early:
        rule = stopping_of(stack, epochs)
        stop = keras.callbacks.EarlyStopping(
            patience=rule.patience_epochs,
            start_from_epoch=rule.from_epoch,
            restore_best_weights=True,
        )
        callbacks.append(stop)
    if SCHEDULES[stack["schedule"]].reacts:
        factor = stack["schedule.factor"]
        wait = patience_epochs(stack["schedule.patience"], epochs)
        callbacks.append(keras.callbacks.ReduceLROnPlateau(factor=factor, patience=wait))
    elif stack["schedule"] != "constant":
        steps = epochs * -(-len(x_train) // stack["batch_size"])
        callbacks.append(PerStep(stack, steps))
    return model.fit(
        *(x_train, y_train),
        batch_size=stack["batch_size"],
        epochs=epochs,
        verbose=0,
        validation_data=(x_valid, y_valid),
        callbacks=callbacks,
    )


def loop(spec: StudySpec) -> None:
    """Train every stack of a spec in turn: the loop that a search replaces."""
    from trainstack.search.data.load import load

    split, network = load(spec.data.source).split(spec.seed), spec.network
    if network is not None:
        split = by_channel(split, [shape for _, shape in network.inputs])
    found = split.prepared()
    arrays = (found.x_train, found.y_train, found.x_valid, found.y_valid)
    for stack in spec.stacks:
        keras.utils.set_random_seed(0)
        planned = stack.planned_epochs(spec.epochs)
        fit(stack, arrays, spec.data.outputs, planned, network=network)


if __name__ == "__main__":
    import json
    import sys

    loop(StudySpec.from_json(json.load(sys.stdin)))
