"""A hundred hidden layers on Fashion-MNIST: the self-normalizing bundle and variants that break it.

    python -m benchmarks.deep [PICTURE.html]

Every network is measured before training; the bundle and the same network with ReLU and He's
weights are then trained, as published, by plain SGD at 0.001 for five epochs.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from trainstack.search.data.load import load
from trainstack.search.report import figures, inside
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.layer_statistics import look_inside
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.engine.training import Training

EPOCHS, SEEDS = 5, (1,)
COMMON: dict[str, Any] = {
    "units": [300] + [100] * 99,
    "optimizer": "sgd",
    "optimizer__learning_rate": 0.001,
    "schedule": "constant",
}


@dataclass(frozen=True)
class Network:
    """A network of a hundred layers.

    Attributes:
        about: The difference from the bundle.
        stack: Stack to build.
        widened: Factor on the deviation of fresh hidden weights: an initializer that does not match
            the activation, which a stack cannot express.
        standardised: False for inputs only scaled to 0..1.
    """

    about: str
    stack: Stack
    widened: float = 1.0
    standardised: bool = True


BUNDLE = Network("the bundle: SELU, LeCun normal, standardised inputs, plain", Stack.of(**COMMON))
RELU = Network("ReLU, He normal", Stack.of(**COMMON, activation="relu"))
BROKEN = {
    "inputs": Network("inputs from 0 to 1", BUNDLE.stack, standardised=False),
    "initializer": Network("SELU with He's weights", BUNDLE.stack, widened=2**0.5),
    "skipped": Network("skip connections", BUNDLE.stack.but(connection="residual")),
    "elu": Network("ELU, He normal", Stack.of(**COMMON, activation="elu")),
    "relu": RELU,
}


def fashion(standardised: bool = True) -> DeviceData:
    """Return Fashion-MNIST with the chapter's split on the device.

    Raises:
        RequestError: The data set is not on this machine.
    """
    split = load("fashion-mnist").split(0)
    parts = split.prepared()
    x_train, x_valid = parts.x_train, parts.x_valid
    if not standardised:
        low, high = x_train.min(0), x_train.max(0)
        x_train, x_valid = ((x - low) / np.maximum(high - low, 1e-6) for x in (x_train, x_valid))
    arrays = (x_train, parts.y_train, x_valid, parts.y_valid)
    return DeviceData(*(tf.constant(part) for part in arrays))


def program(network: Network, data: DeviceData, compiled: bool = False) -> Program:
    """Return the network's program with fresh weights."""
    structure = Structure(
        shaping_items(network.stack),
        data.layout,
        *(10, "classification", data.rows),
        compiled=compiled,
    )
    made = Program(structure, network.stack)
    made.reset(network.stack, SEEDS[0])
    if network.widened != 1.0:
        weights = made.weights()
        kernels = [k for k, w in enumerate(weights) if w.ndim == 2][:-1]
        made.set_weights(
            [w * network.widened if k in kernels else w for k, w in enumerate(weights)]
        )
    return made


def fresh_layers(network: Network, data: DeviceData) -> list[dict[str, float]]:
    """Return the layers' statistics before training."""
    return look_inside(program(network, data), network.stack, data)


def accuracies(network: Network, data: DeviceData) -> list[float]:
    """Train the network with every seed; return the validation accuracies after the last epoch."""
    made, found = program(network, data, compiled=True), []
    for seed in SEEDS:
        made.reset(network.stack, seed)
        run = Training(made, network.stack, seed, EPOCHS, untrained_loss=float(np.log(10)))
        found.append(run.run(data, lambda measured: None).measurements[-1].metric)
    return found


def main() -> None:
    """Measure every network, draw the picture, train two, print the table."""
    data, scaled = fashion(), fashion(standardised=False)
    networks = (BUNDLE, *BROKEN.values())
    rows = {n.about: fresh_layers(n, data if n.standardised else scaled) for n in networks}
    if len(sys.argv) > 1:
        shown = [(about, {"start": layers}) for about, layers in rows.items()]
        page = figures.html(inside.picture(shown), "layers", script=True)
        Path(sys.argv[1]).write_text(page, "utf-8")
    print("| network | mean of outputs | deviation of outputs | accuracy after 5 epochs |")
    print("| --- | --- | --- | --- |")
    for network in networks:
        spans = [
            f"{min(values):.2g} to {max(values):.2g}"
            for figure in ("mean", "deviation")
            for values in [[layer[figure] for layer in rows[network.about]]]
        ]
        reached = accuracies(network, data) if network in (BUNDLE, RELU) else []
        listed = ", ".join(f"{accuracy:.3f}" for accuracy in reached) or "–"
        print(f"| {network.about} | {spans[0]} | {spans[1]} | {listed} |", flush=True)


if __name__ == "__main__":
    main()
