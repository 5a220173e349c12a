"""The engine against Keras `fit`, in one process: epochs, trials, deep networks."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from benchmarks.plainkeras import fit
from benchmarks.table import Row
from trainstack.search.data.inputs import Inputs
from trainstack.search.data.load import load
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.structure import Structure, shaping_items, worth_compiling
from trainstack.workers.engine.training import Training, batch_order

BARS = {32: (9.0, 2.0), 128: (4.5, 1.8), 512: (3.0, 1.5)}
SHARE_BARS = {32: 40.0, 128: 65.0}


class Subject:
    """A data set standardised, as arrays and on the device."""

    def __init__(self, name: str) -> None:
        split = load(name).split(0).prepared()
        self.arrays = (split.x_train, split.y_train, split.x_valid, split.y_valid)
        self.data = DeviceData(*(tf.constant(part) for part in self.arrays))
        self.rows, self.features = split.x_train.shape
        self.classes = int(split.y_train.max()) + 1

    def program(self, stack: Stack, epochs: int, runs: int = 1, xla: bool | None = None) -> Program:
        """Return a fresh program for a stack."""
        steps = epochs * (self.rows // stack["batch_size"])
        structure = Structure(
            shaping_items(stack),
            Inputs(self.features),
            self.classes,
            "classification",
            (self.rows, len(self.arrays[3])),
            worth_compiling(stack, self.features, steps, runs) if xla is None else xla,
        )
        return Program(structure, stack)

    def model(self, stack: Stack) -> keras.Model:
        """Return the network of Keras's layers for a stack."""
        from trainstack.workers.engine.build import plain_model

        return plain_model(stack, Inputs(self.features), self.classes)

    def train(self, program: Program, stack: Stack, epochs: int, seed: int = 0) -> None:
        """Train a stack to its end, as in a trial."""
        program.reset(stack, seed)
        Training(program, stack, seed, epochs, untrained_loss=2.3).run(self.data, lambda m: None)


def seconds(action: Callable[[], object]) -> float:
    """Return the wall time of an action."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def usual_seconds(action: Callable[[], object]) -> float:
    """Return the median wall time of three runs, because single runs are easily disturbed."""
    return float(np.median([seconds(action) for _ in range(3)]))


def epoch_seconds(subject: Subject, stack: Stack, epochs: int = 9) -> float:
    """Return the median time of the engine's epoch in steady state."""
    program = subject.program(stack, 100, xla=True)
    program.reset(stack, 0, subject.data)
    steps = subject.rows // stack["batch_size"]
    maker = RateMaker(stack, steps, epochs)

    def one(epoch: int) -> None:
        order = batch_order(0, epoch, subject.rows, steps, stack["batch_size"])
        program.epoch(stack, subject.data, order, maker.rates(epoch), None, epoch)

    one(1)
    return float(np.median([seconds(lambda e=e: one(e)) for e in range(2, epochs + 2)]))


class EpochTimes(keras.callbacks.Callback):
    """Records the time at which each epoch ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Record the time."""
        self.ends.append(time.perf_counter())


def fit_epoch_seconds(subject: Subject, stack: Stack, **compiling: object) -> float:
    """Return the median time of an epoch of `fit` in steady state, validation included."""
    from trainstack.workers.engine.build import make_optimizer

    model = subject.model(stack)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(make_optimizer(stack), loss, metrics=["accuracy"], **compiling)
    times = EpochTimes()
    x, y, x_valid, y_valid = subject.arrays
    model.fit(
        *(x, y),
        batch_size=stack["batch_size"],
        epochs=4,
        verbose=0,
        validation_data=(x_valid, y_valid),
        callbacks=[times],
    )
    return float(np.median(np.diff(times.ends)))


def matmul_rate() -> float:
    """Return the machine's rate for large float32 matrix products, in FLOP/s."""
    size, repeats = 2048, 10
    a = tf.random.stateless_normal((size, size), seed=[0, 1])
    product = tf.function(lambda x: x @ x, jit_compile=True)
    product(a).numpy()

    def products() -> None:
        for _ in range(repeats):
            last = product(a)
        last.numpy()

    times = [seconds(products) for _ in range(5)]
    return repeats * 2 * size**3 / min(times)


def epoch_flops(subject: Subject, units: tuple[int, ...]) -> float:
    """Return the multiply-adds (two FLOP each) of an epoch's products, validation included.

    Forward and the gradient by the weights cost 2 · rows · weights each; the gradient by a
    layer's input the same, except for the first layer.
    """
    widths = (subject.features, *units, subject.classes)
    weights = [a * b for a, b in itertools.pairwise(widths)]
    training = 2 * sum(weights) + sum(weights[1:])
    return 2.0 * (subject.rows * training + len(subject.arrays[3]) * sum(weights))


def epochs_against_fit(fashion: Subject) -> list[Row]:
    """Measure steady-state epochs at three batch sizes, and the share of the machine's rate."""
    rows, shares = [], []
    rate = matmul_rate()
    for batch, (plain_bar, tuned_bar) in BARS.items():
        stack = Stack.of(units=[300, 100], batch_size=batch)
        ours = epoch_seconds(fashion, stack)
        plain = fit_epoch_seconds(fashion, stack)
        tuned = fit_epoch_seconds(fashion, stack, steps_per_execution=50, jit_compile=True)
        what = f"epoch, Fashion-MNIST, 300-100, batch {batch}"
        us = f"{ours:.2f} s"
        rows.append(Row(what, us, f"`fit`: {plain:.2f} s", plain / ours, plain_bar))
        rows.append(Row(what, us, f"`fit`, 50 steps, XLA: {tuned:.2f} s", tuned / ours, tuned_bar))
        if batch in SHARE_BARS:
            share = 100 * epoch_flops(fashion, stack.units) / ours / rate
            shares.append(
                Row(
                    f"share of the matrix-product rate, batch {batch}",
                    f"{share:.0f} %",
                    f"{rate / 1e9:.0f} GFLOP/s",
                    *(share, SHARE_BARS[batch]),
                    unit="%",
                )
            )
    return rows + shares


def trials_against_fit(fashion: Subject) -> list[Row]:
    """Measure whole trials, including building and compiling."""
    rows = []
    stack = Stack.of(units=[300, 100], schedule="constant", stopping="none")
    ours = usual_seconds(lambda: fashion.train(fashion.program(stack, 10), stack, 10))
    theirs = seconds(lambda: fit(stack, fashion.arrays, 10, 10))
    rows.append(
        Row(
            "trial of 10 epochs, batch 32",
            f"{ours:.1f} s",
            f"`fit`: {theirs:.1f} s",
            theirs / ours,
            7.0,
        )
    )
    deep = Stack.of(units=[100] * 100, batch_size=128, schedule="constant", stopping="none")
    ours = seconds(lambda: fashion.train(fashion.program(deep, 5), deep, 5))
    theirs = seconds(lambda: fit(deep, fashion.arrays, 10, 5))
    rows.append(
        Row(
            "100 hidden layers, 5 epochs, batch 128",
            f"{ours:.1f} s",
            f"`fit`: {theirs:.1f} s",
            theirs / ours,
            1.3,
        )
    )
    return rows


def dropout_cost(fashion: Subject) -> list[Row]:
    """Measure dropout on the input, whose masks once made training six times slower."""
    plain = Stack.of(units=[512, 512], batch_size=128, activation="relu")
    masked = plain.but(dropout="all")
    ours, bare = epoch_seconds(fashion, masked), epoch_seconds(fashion, plain)
    return [
        Row(
            "epoch with dropout on all layers, 512-512, batch 128",
            f"{ours:.2f} s",
            f"without: {bare:.2f} s",
            ours / bare,
            1.3,
            least=False,
        )
    ]
