"""Networks trained on the logarithm of a target: every figure is in the target's own unit."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import root_mean_squared_error

from trainstack.search.artifacts import open_store
from trainstack.search.data.load import load
from trainstack.search.evidence.planned_run import confirmation_seed
from trainstack.search.folds import SplitId
from trainstack.search.payloads import MeasurementPayload
from trainstack.search.records import CONFIRMATION, MEASUREMENT, Result
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.space import Space
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.export.model import exponential
from trainstack.workers.messages import Job, Kept
from trainstack.workers.tasks.jobs import JobBench

pytestmark = pytest.mark.keras
STACK = CHAPTER_DEFAULT.but(units=[8, 4], batch_size=32, optimizer__learning_rate=0.02)
EPOCHS = 4
SEED = confirmation_seed(0, 0)


def bench_of(folder: Path) -> JobBench:
    """A bench for 400 prices over four orders of magnitude, trained on their logarithm."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["price"] = np.exp(9 + x @ [1.0, 0.5, -0.5] + 0.2 * rng.normal(size=400))
    frame.to_csv(folder / "rows.csv", index=False)
    data = load(str(folder / "rows.csv"), "price", "auto", transform="log").describe()
    spec = StudySpec("m", data, Space.named("chapter").to_json(), epochs=EPOCHS, yardstick=False)
    return JobBench(spec, 0, str(folder))


def confirmed(bench: JobBench) -> Result:
    """Train the stack with the first fresh seed."""
    run = Job("0", CONFIRMATION, STACK, SEED, (SplitId(SEED),), EPOCHS, folder="m")
    return bench.train(run, lambda measurement: None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The bench, the confirmation run and the measurement on the test set."""
    bench = bench_of(tmp_path_factory.mktemp("log"))
    run = confirmed(bench)
    kept = {STACK.stack_id: {"0": dict(run.artifacts)}}
    asked = Job(
        *("m", MEASUREMENT, None, 0, (), EPOCHS),
        folder="m",
        measures=MeasurementPayload(STACK, STACK, kept),
    )
    return SimpleNamespace(bench=bench, run=run, measured=dict(bench.measure(asked).payload))


def answers(trained: Any, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a part's prices and the exponentials of the network's outputs for it."""
    program, split = trained.bench.weights(
        STACK, Kept(SEED, SplitId(SEED), trained.run.artifacts["weights"])
    )
    logs = np.log(split.y_train)
    outputs = program.outputs(getattr(split.prepared(), f"x_{part}"))[:, 0].astype(float)
    return getattr(split, f"y_{part}"), np.exp(outputs * logs.std() + logs.mean())


def test_the_test_figures_are_scikit_learns_on_exponentials(trained: Any) -> None:
    """The recorded rmse and loss are those of the prices, to 1e-6."""
    expected = root_mean_squared_error(*answers(trained, "test"))
    found = trained.measured["chosen"]["test"]
    assert found["rmse"][0] == pytest.approx(expected, rel=1e-6)
    scale = trained.bench.dataset.split(SEED).y_train.std()
    assert found["loss"][0] == pytest.approx((expected / scale) ** 2, rel=1e-6)


def test_the_best_epoch_is_chosen_in_the_targets_unit(trained: Any) -> None:
    """The validation rmse of the restored weights is that of the prices, and the least of all."""
    expected = root_mean_squared_error(*answers(trained, "valid"))
    assert trained.run.metrics["rmse"] == pytest.approx(expected, rel=1e-5)
    losses = [m.valid_loss for m in trained.run.measurements]
    assert trained.run.value == min(losses) == losses[trained.run.best_epoch - 1]
    scale = trained.bench.dataset.split(SEED).y_train.std()
    assert trained.run.value == pytest.approx((expected / scale) ** 2, rel=1e-5)


def test_the_difference_to_the_trivial_predictor_is_in_the_targets_unit(trained: Any) -> None:
    """It is the mean over rows of the squared errors' difference to the training mean's."""
    prices, predicted = answers(trained, "test")
    y = trained.bench.dataset.split(SEED).y_train
    gaps = ((predicted - prices) ** 2 - (y.mean() - prices) ** 2) / y.var()
    found = trained.measured["chosen"]["trivial"]["difference"]["loss"]["mean"]
    assert found == pytest.approx(gaps.mean(), rel=1e-5)


def test_the_exported_model_predicts_in_the_targets_unit(trained: Any, tmp_path: Path) -> None:
    """The reloaded model gives the exponentials for a table's columns."""
    store = open_store(str(trained.bench.artifacts))
    for kind, name in (("keras", "model.keras"), ("predict", "model.predict.py")):
        with store.read(trained.measured["models"]["single"]["artifacts"][kind]) as file:
            (tmp_path / name).write_bytes(file.read())
    model: Any = keras.models.load_model(tmp_path / "model.keras")
    script = runpy.run_path(str(tmp_path / "model.predict.py"))
    dataset = trained.bench.dataset
    tested = pd.read_csv(dataset.source).iloc[dataset.division.positions(SEED)["test"]]
    predicted = np.asarray(model(script["features"](tested), training=False))[:, 0]
    np.testing.assert_allclose(predicted, answers(trained, "test")[1], rtol=2e-6)


def test_the_exported_script_trains_on_logarithms(
    trained: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its printed figures are near the recorded ones, in the target's unit."""
    store = open_store(str(trained.bench.artifacts))
    with store.read(trained.measured["models"]["single"]["artifacts"]["python"]) as file:
        names: dict[str, Any] = {"__name__": "script"}
        exec(compile(file.read(), "train.py", "exec"), names)
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    words = capsys.readouterr().out.replace(",", "").split()
    loss, rmse = float(words[4]), float(words[-1])
    scale = trained.bench.dataset.split(SEED).y_train.std()
    assert rmse == pytest.approx(loss**0.5 * scale, rel=1e-2)
    assert rmse < 1.5 * scale


def test_a_logarithm_that_is_too_large_is_limited_in_every_place(trained: Any) -> None:
    """The exported model's layers limit an output to five deviations, as the engine does."""
    log = trained.bench.dataset.split(SEED).log
    outputs = np.array([[-100.0], [0.0], [1.0], [100.0]], np.float32)
    found = np.asarray(exponential(outputs, log))
    np.testing.assert_allclose(found, log.in_unit(outputs), rtol=2e-6)


def test_streamed_data_is_measured_alike(tmp_path: Path) -> None:
    """Data that does not fit on the device gives the same curve."""
    resident = confirmed(bench_of(tmp_path))
    bench = bench_of(tmp_path)
    bench.fits_bytes = 0
    assert isinstance(bench.split(SplitId(SEED), STACK)[1], StreamedData)
    streamed = confirmed(bench)
    curves = [[m.valid_loss for m in run.measurements] for run in (resident, streamed)]
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
