"""Networks that start with the lower layers of a saved model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from tests.support.exported_models import exported
from trainstack.search.data.load import load
from trainstack.search.folds import SplitId
from trainstack.search.payloads import Refit
from trainstack.search.records import CONFIRMATION, Measurement, Result
from trainstack.search.reused import read_reused
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.saved_layers import dense_layers, saved_layers
from trainstack.workers.engine.training import batch_order
from trainstack.workers.export.keras_code import script
from trainstack.workers.messages import INTERRUPTED, Job
from trainstack.workers.tasks.jobs import JobBench
from trainstack.workers.tasks.refit import refitted

pytestmark = pytest.mark.keras

EPOCHS, SEED, PLACE = 6, 3, SplitId(0)
STACK = Stack.of(
    **{"units": [12, 8], "activation": "relu", "initializer": "he_normal", "batch_size": 16},
    **{"pretraining": "reuse", "pretraining__frozen": 0.5, "pretraining__rate_factor": 0.4},
    **{"optimizer": "sgd", "optimizer__learning_rate": 0.05, "schedule": "constant"},
    stopping="none",
)


def saved(path: Path) -> list[np.ndarray]:
    """Save a dense model of 13 inputs; return its weights."""
    keras.utils.set_random_seed(5)
    layers = [keras.layers.Dense(12, activation="relu"), keras.layers.Dense(8), keras.layers.ReLU()]
    layers[2] = keras.layers.Activation("relu")
    model = keras.Sequential(
        [keras.Input((13,)), keras.layers.Normalization(), *layers, keras.layers.Dense(4)]
    )
    for layer in layers[:2]:
        layer.bias.assign(0.1 * np.arange(layer.units))
    model.save(path)
    return [w for layer in layers[:2] for w in layer.get_weights()]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray]]:
    """A saved model, and the weights of its hidden layers."""
    path = tmp_path_factory.mktemp("saved") / "old.keras"
    return path, saved(path)


@pytest.fixture(scope="module")
def bench(model: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> JobBench:
    """A bench for 178 wines of 13 features, with the saved model in its artifact store only."""
    copy = tmp_path_factory.mktemp("copy") / "old.keras"
    copy.write_bytes(model[0].read_bytes())
    reused = read_reused(str(copy), 13)
    spec = StudySpec("s", load("wine").describe(), {}, epochs=EPOCHS, reused=reused)
    bench = JobBench(
        StudySpec.from_json(spec.to_json()), 0, str(tmp_path_factory.mktemp("artifacts"))
    )
    reused.share(bench.artifacts)
    copy.unlink()
    return bench


def started(bench: JobBench, stack: Stack) -> Any:
    """Return a program that was started for a run, and its data."""
    _, data = bench.split(PLACE, stack)
    program, _ = bench.program(stack, data, EPOCHS)
    bench.start(program, stack, SEED, data, EPOCHS)
    return program, data


@pytest.mark.parametrize("layers", [1, 2])
def test_a_run_starts_with_the_saved_layers(layers: int, bench: JobBench, model: Any) -> None:
    """The layers asked for are the model's, those above have the seed's fresh weights."""
    ours = started(bench, STACK.but(pretraining__layers=layers))[0].weights()
    fresh = started(bench, STACK.but(pretraining="none"))[0].weights()
    for k, weights in enumerate(ours):
        np.testing.assert_array_equal(weights, (model[1] if k < 2 * layers else fresh)[k])


def test_the_curve_is_that_of_keras_with_layers_toggled(bench: JobBench) -> None:
    """`fit` with `trainable` off, then on, gives the same losses and weights.

    A gradient descent step is proportional to the gradient, so Keras has the lower rate of the
    layer by scaling its gradients.
    """
    program, data = started(bench, STACK)
    assert isinstance(data, DeviceData)
    inputs = keras.Input((13,))
    layers = [keras.layers.Dense(n, activation="relu") for n in (12, 8)] + [keras.layers.Dense(3)]
    x = inputs
    for layer in layers:
        x = layer(x)
    theirs: Any = keras.Model(inputs, x)
    theirs.set_weights(program.weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x, y = data.x_train.numpy(), data.y_train.numpy()
    rows, losses = len(x), []
    for epoch in range(1, EPOCHS + 1):
        layers[0].trainable = epoch > 3
        if epoch in (1, 4):
            theirs.compile(Scaled(layers[0], 0.4, learning_rate=0.05), loss)
        order = batch_order(SEED, epoch, rows, rows // 16, 16).ravel()
        theirs.fit(x[order], y[order], batch_size=16, shuffle=False, verbose=0)
        losses.append(theirs.evaluate(data.x_valid, data.y_valid, verbose=0, return_dict=True))
    job = Job("t", CONFIRMATION, STACK, SEED, (PLACE,), EPOCHS)
    run = bench.prepare(job, program)
    ours = run.training.run(run.data, lambda measurement: None)
    for measured, found in zip(ours.measurements, losses, strict=True):
        np.testing.assert_allclose(measured.valid_loss, found["loss"], rtol=1e-4)


class Scaled(keras.optimizers.SGD):
    """Gradient descent whose step is a share of itself for one layer."""

    def __init__(self, layer: Any, share: float, **options: Any) -> None:
        super().__init__(**options)
        self.layer, self.share = layer, share

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        lower = {id(variable) for variable in self.layer.trainable_variables}
        pairs = zip(grads, trainable_variables, strict=True)
        scaled = [self.share * g if id(v) in lower else g for g, v in pairs]
        super().apply(scaled, trainable_variables)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw", "dropout": "all"},
        {"penalty": "l2", "decay": "decoupled", "optimizer": "nadam", "clipping": "norm"},
    ],
)
def test_frozen_layers_stay(changes: dict[str, Any], bench: JobBench, model: Any) -> None:
    """While they are frozen no weight of theirs changes; then all do."""
    stack = STACK.but(**changes, pretraining__layers=2)
    program, _ = started(bench, stack)
    for stop, alike in ((3, True), (4, False)):
        run = bench.prepare(Job("t", CONFIRMATION, stack, SEED, (PLACE,), EPOCHS), program)
        run.training.run(run.data, lambda m, s=stop: INTERRUPTED if m.epoch == s else None)
        for a, b in zip(program.weights()[:4], model[1], strict=True):
            assert np.array_equal(a, b) == alike


def curve(result: Result) -> list[tuple[float, float]]:
    return [(m.train_loss, m.valid_loss) for m in result.measurements]


def test_an_interrupted_run_is_the_uninterrupted_one(bench: JobBench) -> None:
    """In the frozen epochs or after them, the curve is the same to the last bit."""

    def run(folder: str, stop: int = 0) -> Result:
        job = Job("t", CONFIRMATION, STACK, SEED, (PLACE,), EPOCHS, folder=folder)

        def judge(measured: Measurement) -> str | None:
            return INTERRUPTED if measured.epoch == stop else None

        return bench.train(job, judge)

    whole = run("whole")
    for stop in (1, 4):
        run(f"stop {stop}", stop)
        assert curve(run(f"stop {stop}")) == curve(whole)


@pytest.mark.usefixtures("bundles")
def test_runs_trained_at_once_and_refits_reuse_layers(bench: JobBench, model: Any) -> None:
    """Seeds in one program have the curves that they have alone, and a refit starts likewise."""
    jobs = [Job(f"t{k}", CONFIRMATION, STACK, k, (SplitId(k),), EPOCHS) for k in (1, 2)]
    assert bench.room(jobs[0])
    for job, result in zip(jobs, bench.train_bundle(jobs, lambda *_: None), strict=True):
        np.testing.assert_allclose(
            curve(result), curve(bench.train(job, lambda measured: None)), rtol=1e-3
        )
    found = next(refitted(bench, STACK, [Refit(SEED, 3)]))  # all of them frozen
    assert found is not None
    np.testing.assert_array_equal(found[0].weights()[0], model[1][0])


def test_the_script_reuses_layers(bench: JobBench, model: Any) -> None:
    """The exported program loads the same layers, keeps them while frozen and then trains them."""
    reused = read_reused(str(model[0]), 13)
    spec = replace(bench.spec, reused=reused)
    data = load("wine")
    for epochs, alike in ((2, True), (4, False)):
        text = script(data, spec, STACK, [7], {"loss": [0.5]})
        names: dict[str, Any] = {"__name__": "script"}
        exec(compile(text.replace("EPOCHS = 6", f"EPOCHS = {epochs}"), "train.py", "exec"), names)
        train, trained = names["train"], []
        names["train"] = lambda *parts, t=train, kept=trained: kept.append(t(*parts)) or kept[0]
        names["sys"].argv = ["train.py"]
        names["main"]()
        for k, weights in enumerate(trained[0].get_weights()[:2]):
            assert np.array_equal(weights, model[1][k]) == alike


def test_layers_of_an_exported_model_are_read(tmp_path: Path) -> None:
    """The model of a table reads columns first; its dense layers are found within it."""
    frame = pd.DataFrame({"a": np.sin(np.arange(60.0)), "b": ["x", "y", "z"] * 20})
    frame.assign(y=frame["a"] * 2).to_csv(tmp_path / "t.csv", index=False)
    path = exported(tmp_path, str(tmp_path / "t.csv"), "y", hidden=7)
    reused = read_reused(str(path), 4)
    assert (reused.units, reused.activation) == ((7,), "relu")
    kernel, bias = saved_layers(path.read_bytes(), 1)
    network = keras.models.load_model(path, compile=False)
    hidden = dense_layers(network)[0].get_weights()
    assert kernel.shape == (4, 7)
    np.testing.assert_array_equal(kernel, hidden[0])
    np.testing.assert_array_equal(bias, hidden[1])


def test_another_file_is_refused(model: Any, tmp_path: Path) -> None:
    """A worker that has neither the stored model nor the same file says so in one line."""
    path = tmp_path / "m.keras"
    path.write_bytes(model[0].read_bytes())
    reused = read_reused(str(path), 13)
    spec = StudySpec("s", load("wine").describe(), {}, epochs=EPOCHS, reused=reused)
    bench = JobBench(spec, 0, str(tmp_path / "artifacts"))
    path.write_bytes(b"another")
    with pytest.raises(RequestError, match="is not the model with which the study was launched"):
        started(bench, STACK)
