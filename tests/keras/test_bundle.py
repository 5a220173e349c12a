"""Several networks in one program: each has the weights that it has alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.support.engine_stacks import (
    BASE,
    BATCH,
    EPOCHS,
    NETWORKS,
    OWN_LAYERS,
    STACKS,
    program_of,
    splits,
)
from trainstack.search.metrics.losses import LOSSES
from trainstack.spaces.embeddings import EMBEDDINGS
from trainstack.spaces.schedules import SCHEDULES
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.bundle import Bundle
from trainstack.workers.engine.bundle_data import BundleData
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.epoch import EpochPlan
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.training import batch_order, epoch_key

pytestmark = pytest.mark.keras

# Choices that a comparison with `fit` leaves out, because they are random in training.
RANDOM = {
    "activation rrelu": BASE.but(activation="rrelu", initializer="he_normal"),
    "dropout": BASE.but(dropout="all", dropout__rate=0.3),
    "falling dropout": BASE.but(
        dropout="all", dropout__rate=0.3, regularizer_schedule="flat_cosine"
    ),
    "alpha dropout": BASE.but(
        activation="selu", initializer="lecun_normal", dropout="last", dropout__rate=0.2
    ),
}


def plans(stack: Stack, data: Sequence[DeviceData], epoch: int) -> list[EpochPlan]:
    """Return the plan of an epoch of each network, whose seeds are 0, 1, …"""
    found = []
    for seed, split in enumerate(data):
        steps = split.rows[0] // BATCH
        maker = RateMaker(stack, steps, EPOCHS)
        order = batch_order(seed, epoch, split.rows[0], steps, BATCH)
        found.append(maker.plan(epoch, order, epoch_key(seed, epoch)))
    return found


Trained = tuple[list[np.ndarray], float, float]


def alone(program: Program, stacks: Sequence[Stack], data: Sequence[DeviceData]) -> list[Trained]:
    """Train the networks one after the other; return weights and losses of the last epoch."""
    found = []
    for k, stack in enumerate(stacks):
        program.reset(stack, k, data[k])
        for epoch in range(1, EPOCHS + 1):
            p = plans(stack, data, epoch)[k]
            result = program.epoch(stack, data[k], *p.arguments)
        found.append((program.weights(), result.train_loss, result.valid_loss))
    return found


def together(
    program: Program, stacks: Sequence[Stack], data: Sequence[DeviceData]
) -> list[Trained]:
    """Train the networks in one program; return the same."""
    bundle = Bundle(program, stacks[0], len(stacks))
    for k, stack in enumerate(stacks):
        program.reset(stack, k, data[k])
        bundle.load(k)
    for epoch in range(1, EPOCHS + 1):
        each = [plans(stack, data, epoch)[k] for k, stack in enumerate(stacks)]
        results = bundle.epoch(stacks, BundleData.of(data), each)
    return [
        (bundle.weights(k), result.train_loss, result.valid_loss)
        for k, result in enumerate(results)
    ]


def assert_equal(ours: Sequence[Trained], theirs: Sequence[Trained], relative: float) -> None:
    """Compare weights and losses of every network."""
    for (weights, *losses), (expected, *expected_losses) in zip(ours, theirs, strict=True):
        for a, b in zip(weights, expected, strict=True):
            far = relative * max(1.0, float(np.abs(b).max()))
            np.testing.assert_allclose(a, b, rtol=relative, atol=far)
        np.testing.assert_allclose(losses, expected_losses, rtol=10 * relative)


# Schedules do not change the program; the networks of one bundle may follow different ones.
CHOICES = {
    name: stack
    for name, stack in {**STACKS, **OWN_LAYERS, **RANDOM}.items()
    if not name.startswith("schedule ")
}


@pytest.mark.parametrize("name", CHOICES)
def test_each_network_of_a_bundle_has_the_weights_that_it_has_alone(name: str) -> None:
    """Without XLA the weights of three networks after two epochs agree to 1e-6, for all choices."""
    stack = CHOICES[name]
    program, data = program_of(stack), splits()
    expected = alone(program, [stack] * NETWORKS, data)
    assert_equal(together(program, [stack] * NETWORKS, data), expected, 1e-6)


def test_networks_of_a_bundle_have_schedules_and_numbers_of_their_own() -> None:
    """Each of the schedules, with other penalties and rates, trains as it does alone."""
    base = BASE.but(optimizer="momentum", penalty="l2", dropout="all", max_norm="clip")
    stacks = [
        base.but(
            schedule=name,
            penalty__l2=0.001 * k,
            dropout__rate=0.05 * k,
            max_norm__radius=0.5 + 0.1 * k,
            optimizer__learning_rate=0.01 * (k + 1),
        )
        for k, name in enumerate(SCHEDULES, start=1)
    ]
    data = [splits()[0]] * len(stacks)
    program = program_of(stacks[0])
    assert_equal(together(program, stacks, data), alone(program, stacks, data), 1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_networks_of_a_bundle_have_rows_and_weights_of_their_own(name: str) -> None:
    """With parts of unequal length and weighted rows every loss trains as it does alone."""
    data = splits(weighted=True, uneven=True, loss=name)
    assert len({rows // BATCH for split in data for rows in split.rows[:1]}) > 1
    program = program_of(BASE, loss=name)
    expected = alone(program, [BASE] * NETWORKS, data)
    # The exponential of the Poisson loss multiplies rounding, which depends on the processor.
    relative = 1e-5 if name == "poisson" else 1e-6
    assert_equal(together(program, [BASE] * NETWORKS, data), expected, relative)


def test_a_bundle_whose_longest_network_has_ended_is_not_traced_anew() -> None:
    """The others train on in the same trace, as they do alone."""
    data = splits(uneven=True)
    program, stacks = program_of(BASE), [BASE] * NETWORKS
    expected = alone(program, stacks, data)
    bundle = Bundle(program, BASE, NETWORKS)
    for k in range(NETWORKS):
        program.reset(BASE, k)
        bundle.load(k)
    bundle.epoch(stacks, BundleData.of(data), plans(BASE, data, 1))
    left = [None, *plans(BASE, data, 2)[1:]]
    assert len(data[0].x_train) == max(split.rows[0] for split in data)
    results = bundle.epoch(stacks, BundleData.of(data), left)
    assert bundle._epoch.experimental_get_tracing_count() == 1
    ours = [
        (bundle.weights(k), result.train_loss, result.valid_loss)
        for k, result in enumerate(results)
    ]
    assert_equal(ours[1:], expected[1:], 1e-6)


@pytest.mark.parametrize("embedding", [*EMBEDDINGS, "of categories"])
def test_a_bundle_under_xla_differs_by_rounding_only(embedding: str) -> None:
    """Compiled, weights after two epochs agree to 1e-4."""
    stack = BASE.but(optimizer="adagrad", normalization="before", clipping="norm")
    stack = stack.but(units=[16])  # each layer costs seconds to compile
    categories = {"categories": "embedded", "categories__levels": 1}
    stack = stack.but(**({"embedding": embedding} if embedding in EMBEDDINGS else categories))
    program, data = program_of(stack, compiled=True), splits(uneven=True)[:2]  # each is compiled
    expected = alone(program, [stack] * 2, data)
    assert_equal(together(program, [stack] * 2, data), expected, 1e-4)


def test_a_bundle_returns_each_networks_outputs_for_its_validation_part() -> None:
    """If the structure asks for them, without the padding."""
    data = splits(uneven=True)
    program = program_of(BASE, answers=True)
    bundle = Bundle(program, BASE, NETWORKS)
    for k in range(NETWORKS):
        program.reset(BASE, k)
        bundle.load(k)
    results = bundle.epoch([BASE] * NETWORKS, BundleData.of(data), plans(BASE, data, 1))
    for k, result in enumerate(results):
        program.set_weights(bundle.weights(k))
        program.settle()
        expected = program.outputs(data[k].x_valid.numpy())
        assert result.answers is not None
        np.testing.assert_allclose(result.answers, expected, rtol=1e-5, atol=1e-6)


def test_numbers_trained_on_their_logarithm_are_measured_on_their_own_scale() -> None:
    """Each network has the scale of its own split."""
    data = [
        replace(split, inverse=tf.constant([[0.3 + 0.1 * k], [1.0], [0.5]]))
        for k, split in enumerate(splits(loss="squared"))
    ]
    program = program_of(BASE, loss="squared", transform="log")
    expected = alone(program, [BASE] * NETWORKS, data)
    assert_equal(together(program, [BASE] * NETWORKS, data), expected, 1e-6)


def test_slots_of_a_bundle_are_those_of_a_program() -> None:
    """Weights and slots taken from a bundle continue alone as they do in it."""
    stack = BASE.but(optimizer="nadam")
    program, data = program_of(stack), splits()
    bundle = Bundle(program, stack, NETWORKS)
    for k in range(NETWORKS):
        program.reset(stack, k)
        bundle.load(k)
    stacks = [stack] * NETWORKS
    bundle.epoch(stacks, BundleData.of(data), plans(stack, data, 1))
    kept = [(bundle.weights(k), bundle.slots(k)) for k in range(NETWORKS)]
    bundle.epoch(stacks, BundleData.of(data), plans(stack, data, 2))
    for k, (weights, slots) in enumerate(kept):
        program.reset(stack, 9)
        program.set_weights(weights)
        program.set_slots(slots)
        p = plans(stack, data, 2)[k]
        program.epoch(stack, data[k], *p.arguments)
        for a, b in zip(program.weights(), bundle.weights(k), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
