"""The exported model of a study with folds: trained on all rows that are not for testing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import log_loss

from trainstack.search.data.load import load
from trainstack.search.evidence.planned_run import confirmation_seed
from trainstack.search.folds import confirmation_split
from trainstack.search.payloads import MeasurementPayload, Refit
from trainstack.search.records import CONFIRMATION, MEASUREMENT, REFIT, Outcome
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.training import Training
from trainstack.workers.messages import Job
from trainstack.workers.tasks import making
from trainstack.workers.tasks import refit as refit_module
from trainstack.workers.tasks.jobs import JobBench
from trainstack.workers.tasks.making import Maker
from trainstack.workers.tasks.refit import kept_refit, refitted

pytestmark = pytest.mark.keras

EPOCHS, TRAINED = 8, 5
STACK = Stack.of(units=[16], batch_size=16, dropout="all", schedule="1cycle")


def bench_of(folder: Path) -> JobBench:
    spec = StudySpec("s", load("wine", None, "auto").describe(), {}, epochs=EPOCHS, folds=5)
    return JobBench(spec, 0, str(folder))


@pytest.mark.parametrize("stack", [STACK, STACK.but(embedding="piecewise")])
def test_a_refit_is_the_plan_cut_short(stack: Stack, tmp_path: Path) -> None:
    """Its weights are those of a run on the same rows after the same epochs of the whole plan."""
    bench = bench_of(tmp_path)
    found = next(refitted(bench, stack, [Refit(3, TRAINED)]))
    assert found is not None
    program, split = found
    ours = program.weights()
    assert len(split.y_train) == 142  # of 178 rows, 36 are for testing
    _, data = bench.split(None, stack)
    program.reset(stack, 3, data)
    later: Iterator[int] = count()
    training = Training(
        *(program, stack, 3, EPOCHS, 1e9), objective=lambda result: -float(next(later))
    )
    training.run(data, lambda m: Outcome.PRUNED if m.epoch == TRAINED else None)
    for mine, theirs in zip(ours, training.best_weights, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-7)


def test_performance_scheduling_lowers_the_rate_after_the_recorded_epochs(tmp_path: Path) -> None:
    """A rate that is lowered to a hundredth after the second epoch hardly moves the weights."""
    bench = bench_of(tmp_path)
    stack = Stack.of(units=[8], schedule="performance", schedule__factor=0.01, optimizer="sgd")

    def weights(epochs: int, lowered_after: tuple[int, ...]) -> np.ndarray:
        found = next(refitted(bench, stack, [Refit(3, epochs, lowered_after)]))
        assert found is not None
        return np.concatenate([array.ravel() for array in found[0].weights()])

    two, three, lowered = weights(2, ()), weights(3, ()), weights(3, (2,))
    assert np.linalg.norm(lowered - two) < 0.05 * np.linalg.norm(three - two)


def test_a_refit_that_diverges_is_none(tmp_path: Path) -> None:
    """The export then falls back on the first confirmation run."""
    wild = Stack.of(units=[64] * 4, activation="relu", initializer="he_normal", optimizer="sgd")
    wild = wild.but(optimizer__learning_rate=100.0)
    refits = [Refit(3, EPOCHS), Refit(4, EPOCHS)]
    assert list(refitted(bench_of(tmp_path), wild, refits)) == [None, None]


@pytest.mark.usefixtures("bundles")
@pytest.mark.parametrize("stack", [STACK, STACK.but(averaging="exponential")])
def test_networks_trained_together_are_those_trained_alone(stack: Stack, tmp_path: Path) -> None:
    """Each has its own seed and length, and the weights that it has alone."""
    bench, asked = bench_of(tmp_path), [Refit(3, TRAINED), Refit(4, 2), Refit(5, TRAINED)]
    data = bench.split(None, stack)[1]
    assert isinstance(data, DeviceData)
    assert bench.most_networks(stack, data, EPOCHS, len(asked)) >= len(asked)
    together = [made[0].weights() for made in refitted(bench, stack, asked) if made]
    assert len(together) == len(asked)
    for refit, ours in zip(asked, together, strict=True):
        made = next(refitted(bench, stack, [refit]))
        assert made is not None
        for mine, alone in zip(ours, made[0].weights(), strict=True):
            np.testing.assert_allclose(mine, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("averaging", ["none", "exponential"])
def test_a_network_that_another_worker_kept_is_not_trained_again(
    averaging: str, tmp_path: Path
) -> None:
    """The measurement takes its weights, which are those that it would have trained, once."""
    stack, refit, other = STACK.but(averaging=averaging), Refit(3, TRAINED), Refit(4, 2)
    there, here = bench_of(tmp_path), bench_of(tmp_path)
    job = Job("r", REFIT, stack, refit.seed, (), EPOCHS, refit=refit)
    assert there.refit(job).outcome == Outcome.COMPLETED
    trained: list[Refit] = []
    asked = MeasurementPayload(stack, stack, {}, (refit, other))
    maker = Maker(here, asked, ())

    def counted(bench: Any, stack: Stack, refits: Any, runs: int) -> Any:
        trained.extend(refits)
        return refitted(bench, stack, refits, runs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "refitted", counted)
        found = maker._networks([(stack, refit), (stack, other)])
    assert trained == [other]
    made = next(refitted(there, stack, [refit]))
    assert made is not None
    program, split = made
    outputs = program.outputs(split.prepared().x_test)
    odds = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    assert found[0] is not None
    p = found[0].model.predict(split.x_test, verbose=0)
    np.testing.assert_allclose(p, odds / odds.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-5)
    maker.forget_kept()
    assert not list(tmp_path.glob("*/refit/*"))


def test_a_network_that_the_measurement_has_begun_is_left_to_it(tmp_path: Path) -> None:
    """Another worker's task for it ends at once, and what a killed measurement began is trained."""
    bench, refit = bench_of(tmp_path), Refit(3, TRAINED)
    assert kept_refit(bench, STACK, refit) is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refit_module, "refitted", None)
        job = Job("r", REFIT, STACK, refit.seed, (), EPOCHS, refit=refit)
        assert bench.refit(job).outcome == Outcome.COMPLETED
    assert kept_refit(bench, STACK, refit) is None


def test_the_refit_is_measured_and_exported(tmp_path: Path) -> None:
    """Measured and exported is the network of all rows; the figures per seed stay the folds'."""
    bench = bench_of(tmp_path)
    runs: dict[str, Any] = {}
    for index in range(2):
        seed, split = confirmation_seed(0, index), confirmation_split(bench.spec, index)
        job = Job(str(index), CONFIRMATION, STACK, seed, (split,), EPOCHS, folder="c")
        runs[str(index)] = dict(bench.train(job, lambda measurement: None).artifacts)
    refit = Refit(confirmation_seed(0, 0), TRAINED)
    asked = MeasurementPayload(STACK, STACK, {STACK.stack_id: runs}, (refit,))
    job = Job("m", MEASUREMENT, None, 0, (), EPOCHS, folder="m", measures=asked)
    result = bench.measure(job)
    assert len(result.payload["chosen"]["test"]["loss"]) == 2
    found = result.payload["models"]["refit"]
    assert (found["rows"], found["members"][0]["epochs"]) == (142, TRAINED)
    split = load("wine", None, "auto").whole()
    model: Any = keras.models.load_model(tmp_path / found["artifacts"]["keras"])
    loss = log_loss(split.y_test, model.predict(split.x_test, verbose=0))
    assert found["test"]["log_loss"][0] == pytest.approx(loss, rel=1e-4)
    script = (tmp_path / found["artifacts"]["python"]).read_text("utf-8")
    assert f"TRAINED_EPOCHS = {EPOCHS}, {TRAINED}" in script
