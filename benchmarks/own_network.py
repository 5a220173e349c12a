"""A user's own network against Keras `fit`: an epoch, and a launch of 12 stacks.

    python -m benchmarks network

The network is the LeNet of `docs/examples`, the data a part of Fashion-MNIST.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.engine import Subject, epoch_seconds, fit_epoch_seconds
from benchmarks.launching import WORKERS, against_the_loop_of, mixed_stacks
from benchmarks.table import Row
from trainstack.search.data.channels import by_channel
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.inputs import Inputs
from trainstack.search.data.load import load
from trainstack.search.own_network import OwnNetwork, read_network
from trainstack.search.spec import StudySpec
from trainstack.spaces.network_space import held
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.own_network import built
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure, shaping_items

FLAG = f"{Path(__file__).parent.parent / 'docs/examples/lenet.py'}:build"
EPOCH_ROWS, LAUNCH_ROWS = 10_000, 2_000
STACKS, EPOCHS = 12, 3
# The products of convolutions take most of the time of both: at least as fast.
EPOCH_BAR, LAUNCH_BAR = 1.0, 1.0


class OwnSubject(Subject):
    """Images standardised by channel, as arrays and on the device, for a network."""

    def __init__(self, dataset: Dataset, network: OwnNetwork) -> None:
        self.network = network
        split = by_channel(dataset.split(0), [shape for _, shape in network.inputs]).prepared()
        self.arrays = (split.x_train, split.y_train, split.x_valid, split.y_valid)
        self.data = DeviceData(*(tf.constant(part) for part in self.arrays))
        self.rows, self.features = split.x_train.shape
        self.classes = int(split.y_train.max()) + 1

    def program(self, stack: Stack, epochs: int, runs: int = 1, xla: bool | None = None) -> Program:
        """Return a fresh program for a stack; networks are never compiled by XLA."""
        shape = Inputs(self.features), self.classes, "classification", self.data.rows, False
        return Program(Structure(shaping_items(stack), *shape, network=self.network), stack)

    def model(self, stack: Stack) -> keras.Model:
        """Return the network of Keras's layers for a stack."""
        return built(self.network, stack, self.classes).model


def lenet() -> OwnNetwork:
    """Return the network for images of 28 × 28 pixels."""
    return replace(read_network(FLAG), inputs=(("inputs", (28, 28, 1)),))


def written(folder: Path, rows: int) -> str:
    """Write some rows of Fashion-MNIST; return the file's path."""
    dataset = load("fashion-mnist")
    chosen = np.random.default_rng(0).choice(len(dataset.y), rows, replace=False)
    path = folder / "clothes.npz"
    images = dataset.x[chosen].reshape(-1, 28, 28)
    np.savez(path, x_train=images, y_train=dataset.y[chosen])
    return str(path)


def rows() -> list[Row]:
    """Measure a steady-state epoch, and a launch from command to end."""
    with tempfile.TemporaryDirectory() as folder:
        return [epoch(Path(folder)), launch(Path(folder))]


def epoch(folder: Path) -> Row:
    """Measure an epoch, validation included."""
    subject = OwnSubject(load(written(folder, EPOCH_ROWS)), lenet())
    stack = Stack.of(activation="relu", initializer="he_normal", batch_size=32)
    ours = epoch_seconds(subject, stack, 5)
    theirs = fit_epoch_seconds(subject, stack)
    what = f"epoch, {EPOCH_ROWS:,} rows of Fashion-MNIST, LeNet, batch 32"
    return Row(what, f"{ours:.2f} s", f"`fit`: {theirs:.2f} s", theirs / ours, EPOCH_BAR)


def launch(folder: Path) -> Row:
    """Time a launch of stacks of the network, and a loop of `fit` over them."""
    path = written(folder, LAUNCH_ROWS)
    stacks = tuple(held(stack) for stack in mixed_stacks()[:STACKS])
    asked = {"epochs": EPOCHS, "stacks": stacks, "network": lenet()}
    spec = StudySpec("loop", load(path).describe(), {}, **asked)
    what = f"{STACKS} stacks × {EPOCHS} epochs, {LAUNCH_ROWS:,} rows of Fashion-MNIST, LeNet"
    what += f", {WORKERS} workers"
    return against_the_loop_of(spec, what, LAUNCH_BAR, "--network", FLAG)
