"""Lower layers that an autoencoder trains before the network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.support.engine_stacks import BASE, made_up_data, program_of
from trainstack.search.data.load import load
from trainstack.search.folds import SplitId
from trainstack.search.payloads import Refit
from trainstack.search.records import CONFIRMATION, Measurement, Result
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.corruption import corrupted
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.losses import CORRUPTION, RECONSTRUCTION
from trainstack.workers.engine.pretraining import autoencoder_of
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.engine.training import batch_order
from trainstack.workers.messages import INTERRUPTED, Job
from trainstack.workers.tasks.jobs import JobBench
from trainstack.workers.tasks.refit import refitted

pytestmark = pytest.mark.keras

EPOCHS, SEED, PLACE = 8, 3, SplitId(0)
STACK = Stack.of(
    **{"units": [12, 8], "batch_size": 16, "pretraining": "autoencoder", "schedule": "constant"},
    **{"pretraining__layers": 1, "pretraining__length": 0.5, "pretraining__frozen": 0.5},
    **{"pretraining__learning_rate": 0.01, "stopping": "none"},
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> JobBench:
    """A bench for 178 wines of 13 features."""
    spec = StudySpec("s", load("wine", None, "auto").describe(), {}, epochs=EPOCHS)
    return JobBench(spec, 0, str(tmp_path_factory.mktemp("artifacts")))


def with_unlabelled(data: Any, count: int) -> Any:
    """Return a split on the device with rows that have no target."""
    assert isinstance(data, DeviceData)
    x = np.random.default_rng(0).normal(1.0, 2.0, (count, data.features))
    return replace(data, x_unlabelled=tf.constant(x, tf.float32)) if count else data


def started(bench: JobBench, stack: Stack, data: Any = None) -> list[np.ndarray]:
    """Return the weights with which a run starts."""
    _, resident = bench.split(PLACE, stack)
    program, _ = bench.program(stack, resident, EPOCHS)
    bench.start(program, stack, SEED, data or resident, EPOCHS)
    return program.weights()


def test_rows_are_corrupted_by_values_of_other_rows() -> None:
    """A share of the values is replaced by one of the same column; a category's features together.

    A replaced value may be the row's own: a third of the replaced categories are.
    """
    rng = np.random.default_rng(0)
    kinds = np.eye(3)[rng.integers(3, size=20_000)]
    x = np.concatenate([rng.normal([0, 100], 1, (20_000, 2)), kinds], axis=1)
    found = corrupted(x, 0.4, (3,), np.random.default_rng(1))
    assert np.isin(found[:, 0], x[:, 0]).all()
    assert np.isin(found[:, 1], x[:, 1]).all()
    assert (found[:, 2:].sum(axis=1) == 1).all()
    differs = found != x
    np.testing.assert_allclose(differs[:, :2].mean(axis=0), 0.4, atol=0.02)
    np.testing.assert_allclose(differs[:, 2:].any(axis=1).mean(), 0.4 * 2 / 3, atol=0.02)
    both = differs[:, 0] & differs[:, 1]
    np.testing.assert_allclose(both.mean(), 0.16, atol=0.02)
    again = corrupted(x, 0.4, (3,), np.random.default_rng(1))
    np.testing.assert_array_equal(found, again)


def test_the_lower_layers_are_those_of_keras_auxiliary_task(bench: JobBench) -> None:
    """Trained by Keras to tell replaced values on the same batches, a network has them too."""
    data = with_unlabelled(bench.split(PLACE, STACK)[1], 50)
    stack = STACK.but(
        **{"pretraining": "auxiliary", "pretraining__layers": 1, "pretraining__length": 0.5},
        **{"pretraining__learning_rate": 0.01, "pretraining__corruption": 0.4},
    )
    ours = started(bench, stack, data)
    x = np.concatenate([data.x_unlabelled.numpy(), data.x_train.numpy()])
    seed = int(np.random.default_rng([SEED, 7]).integers(2**31))
    rows: Any = tf.constant(x)
    rows = DeviceData(rows, rows, rows, rows)
    fresh, _ = bench.program(autoencoder_of(stack), rows, 4, 1, 13, CORRUPTION)
    fresh.reset(autoencoder_of(stack), seed)
    inputs = keras.Input((13,))
    code = keras.layers.Dense(12, activation="selu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(13, activation="sigmoid")(code))
    model.set_weights(fresh.weights())
    model.compile(keras.optimizers.Nadam(0.01), "binary_crossentropy")
    for epoch in range(1, 5):
        replaced = corrupted(x, 0.4, (), np.random.default_rng([seed, 8, epoch]))
        for batch in batch_order(seed, epoch, len(x), len(x) // 16, 16):
            model.train_on_batch(replaced[batch], (replaced != x)[batch])
    for a, b in zip(ours[:2], model.get_weights()[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("unlabelled", [0, 50])
def test_the_lower_layers_are_those_of_keras_autoencoder(unlabelled: int, bench: JobBench) -> None:
    """Trained by Keras from the same weights on the same batches, an autoencoder has them too.

    Rows without a target are rows like those to train.
    """
    epochs = []
    bench.progressed = lambda: epochs.append(1)
    data = with_unlabelled(bench.split(PLACE, STACK)[1], unlabelled)
    ours = started(bench, STACK, data)
    assert len(epochs) == 4  # half of the plan's
    assert isinstance(data, DeviceData)
    x_train, rows = data.x_train, data.rows[0]
    if data.x_unlabelled is not None:
        x_train, rows = tf.concat([data.x_unlabelled, x_train], 0), unlabelled + rows
    x = x_train.numpy()
    seed = int(np.random.default_rng([SEED, 7]).integers(2**31))
    of = autoencoder_of(STACK)
    fresh, _ = bench.program(
        of, DeviceData(x_train, x_train, x_train, x_train), 4, 1, 13, RECONSTRUCTION
    )
    fresh.reset(of, seed)
    inputs = keras.Input((13,))
    code = keras.layers.Dense(12, activation="selu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(13)(code))
    model.set_weights(fresh.weights())
    model.compile(keras.optimizers.Nadam(0.01), "mean_squared_error")
    for epoch in range(1, 5):
        for batch in batch_order(seed, epoch, rows, rows // 16, 16):
            model.train_on_batch(x[batch], x[batch])
    for a, b in zip(ours[:2], model.get_weights()[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_only_the_lower_layers_are_pretrained(bench: JobBench) -> None:
    """Layers above, and a network that is not pretrained, have the seed's own fresh weights."""
    plain = started(bench, STACK.but(pretraining="none"))
    for layers, kernels in ((1, {0}), (2, {0, 2}), (100, {0, 2})):
        found = started(bench, STACK.but(pretraining__layers=layers))
        changed = {k for k in (0, 2, 4) if not np.array_equal(plain[k], found[k])}
        assert changed == kernels


def test_a_code_of_pretrained_layers_holds_more_of_the_inputs(bench: JobBench) -> None:
    """The best linear reconstruction from a narrow layer has a lower error than a fresh one's."""
    stack = STACK.but(units=[3, 8], pretraining__length=1.0, plan_fraction=1.0)
    x = bench.split(PLACE, stack)[0].prepared().x_train

    def selu(z: np.ndarray) -> np.ndarray:
        return 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(z))

    def error(weights: list[np.ndarray]) -> float:
        code = np.column_stack([selu(x @ weights[0] + weights[1]), np.ones(len(x))])
        fitted = code @ np.linalg.lstsq(code, x, rcond=None)[0]
        return float(np.mean((fitted - x) ** 2))

    fresh = error(started(bench, stack.but(pretraining="none")))
    assert error(started(bench, stack)) < 0.9 * fresh


@pytest.mark.parametrize(
    "changes",
    [
        {"embedding": "piecewise", "embedding__rate_factor": 3.0},
        {"normalization": "before", "input_normalization": "batch", "dropout": "all"},
        {"parametrization": "ntk", "input_scale": "learned", "head": "zeros"},
        {"dropout": "last", "penalty": "l2", "decay": "decoupled"},
        {"connection": "residual", "units": [13, 13, 13], "optimizer": "ftrl"},
    ],
)
def test_pretrained_layers_stay_while_they_are_frozen(
    changes: dict[str, Any], bench: JobBench
) -> None:
    """With every kind of layer a run's frozen weights are those that it started with."""
    stack = STACK.but(**changes)
    _, data = bench.split(PLACE, stack)
    program, _ = bench.program(stack, data, EPOCHS)
    job = Job("t", CONFIRMATION, stack, SEED, (PLACE,), EPOCHS)
    run = bench.prepare(job, program)
    start = program.weights()
    run.training.run(run.data, lambda m: INTERRUPTED if m.epoch == 4 else None)
    below = keras.Model(program.model.input, program.hidden[0]).trainable_variables
    frozen = {id(variable) for variable in below}
    found = zip(program.model.variables, start, program.weights(), strict=True)
    for variable, a, b in found:
        if variable.trainable:
            assert np.array_equal(a, b) == (id(variable) in frozen), variable.path


@pytest.mark.parametrize("compiled", [False, True])
def test_thawed_layers_learn_at_their_multiple_of_the_rate(compiled: bool) -> None:
    """A step of gradient descent is multiplied by the factor, and that of biases by theirs, too."""
    stack = BASE.but(pretraining="autoencoder", pretraining__layers=1, optimizer="sgd")
    x, y = (tf.constant(part) for part in made_up_data("classification"))
    order = np.arange(32, dtype=np.int32).reshape(1, 32)

    def step(stack: Stack, factor: float) -> list[np.ndarray]:
        program = program_of(stack, compiled=compiled)
        program.reset(stack, 1)
        start = program.weights()
        rates = order, np.full(1, 0.1, "f4"), None, 1, None, None, factor
        program.epoch(stack, DeviceData(x, y, x, y), *rates)
        return [b - a for a, b in zip(start, program.weights(), strict=True)]

    whole = step(stack, 1.0)
    scaled = step(stack.but(bias_rate=0.5), 0.3)
    factors = (0.3, 0.15, 1.0, 0.5, 1.0, 0.5)
    for a, b, factor in zip(whole, scaled, factors, strict=True):
        np.testing.assert_allclose(b, factor * a, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", ["autoencoder", "auxiliary"])
@pytest.mark.parametrize("unlabelled", [0, 50])
def test_streamed_rows_pretrain_the_same_layers(
    kind: str, unlabelled: int, bench: JobBench
) -> None:
    """Rows that stay on the host give the weights of those on the device, and so does padding."""
    stack = STACK.but(pretraining=kind, pretraining__layers=1)
    split, data = bench.split(PLACE, stack)
    assert isinstance(data, DeviceData)
    aside = 3 * split.x_test[:1] + np.linspace(0, 1, unlabelled)[:, None] if unlabelled else None
    streamed = StreamedData(
        *(split.x_train, data.y_train, split.x_valid, data.y_valid, split.prepare),
        run_bytes=4 * 13 * 16 * 2,
        x_unlabelled=aside,
    )
    if aside is not None:
        data = replace(data, x_unlabelled=tf.constant(split.prepare(aside)))
    resident = started(bench, stack, data)
    longer = data.padded(data.lengths[0] + 7, data.lengths[1] + 7)
    for other in (streamed, longer):
        for a, b in zip(started(bench, stack, other), resident, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_embedded_categories_are_pretrained(tmp_path: Path) -> None:
    """Embeddings of categories are among the layers that the autoencoder trains."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=90), "b": [f"b{k % 9}" for k in range(90)]})
    frame.assign(y=frame["a"] * 2).to_csv(tmp_path / "t.csv", index=False)
    spec = StudySpec("s", load(str(tmp_path / "t.csv"), "y").describe(), {}, epochs=EPOCHS)
    bench = JobBench(spec, 0, str(tmp_path))
    stack = STACK.but(categories="embedded", categories__levels=4)
    fresh = started(bench, stack.but(pretraining="none"))
    changed = [not np.array_equal(a, b) for a, b in zip(fresh, started(bench, stack), strict=True)]
    assert len(fresh) == 7
    assert changed == [True] * 3 + [False] * 4


def curve(result: Result) -> list[tuple[float, float]]:
    return [(m.train_loss, m.valid_loss) for m in result.measurements]


@pytest.mark.parametrize("kind", ["autoencoder", "auxiliary"])
def test_an_interrupted_run_is_the_uninterrupted_one(
    kind: str, bench: JobBench, tmp_path: Path
) -> None:
    """In the frozen epochs or after them, or when all is lost, the curve is the same."""
    stack = STACK.but(pretraining=kind, pretraining__layers=1, pretraining__frozen=0.5)

    def run(folder: str, stop: int = 0) -> Result:
        folder = f"{kind} {folder}"
        job = Job("t", CONFIRMATION, stack, SEED, (PLACE,), EPOCHS, folder=folder)

        def judge(measured: Measurement) -> str | None:
            return INTERRUPTED if measured.epoch == stop else None

        return bench.train(job, judge)

    whole = run("whole")
    assert len(whole.measurements) == EPOCHS
    for stop in (1, 4, 6):
        run(f"stop {stop}", stop)
        assert curve(run(f"stop {stop}")) == curve(whole)
    other = JobBench(bench.spec, 0, str(tmp_path))
    job = Job("t", CONFIRMATION, stack, SEED, (PLACE,), EPOCHS, folder="other")
    assert curve(other.train(job, lambda measured: None)) == curve(whole)


@pytest.mark.usefixtures("bundles")
@pytest.mark.parametrize("kind", ["autoencoder", "auxiliary"])
def test_runs_trained_at_once_are_pretrained_each(kind: str, bench: JobBench) -> None:
    """Seeds in one program have the curves that they have alone."""
    stack = STACK.but(pretraining=kind, pretraining__layers=1)
    jobs = [Job(f"t{k}", CONFIRMATION, stack, k, (SplitId(k),), EPOCHS) for k in (1, 2)]
    assert bench.room(jobs[0])
    for job, result in zip(jobs, bench.train_bundle(jobs, lambda *_: None), strict=True):
        alone = bench.train(job, lambda measured: None)
        np.testing.assert_allclose(curve(result), curve(alone), rtol=1e-3)


def test_a_refit_is_pretrained(bench: JobBench) -> None:
    """While the lower layers are frozen, those of the exported model are the pretrained ones."""
    found = next(refitted(bench, STACK, [Refit(SEED, 4)]))
    assert found is not None
    program, _ = found
    ours = program.weights()
    bench.start(program, STACK, SEED, bench.split(None, STACK)[1], EPOCHS)
    for k, start in enumerate(program.weights()):
        assert np.array_equal(ours[k], start) == (k < 2)
