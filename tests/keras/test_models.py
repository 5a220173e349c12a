"""The models that a study can export: made, measured, saved and loaded again."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.tasks_here import confirmed, measurement, searched
from trainstack.search.data.load import load
from trainstack.search.data.model_description import ModelDescription
from trainstack.search.folds import search_splits
from trainstack.search.kept_predictions import read_predictions
from trainstack.search.metrics.own import OwnMetric
from trainstack.search.payloads import MeasurementPayload
from trainstack.search.records import MEASUREMENT
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.export.model import export_model
from trainstack.workers.messages import Job
from trainstack.workers.tasks.jobs import JobBench
from trainstack.workers.tasks.making import Maker
from trainstack.workers.tasks.measure import confirmation_runs
from trainstack.workers.tasks.metrics import Scorer
from trainstack.workers.tasks.models import KINDS, measured, predictions, residuals
from trainstack.workers.tasks.refit import refitted

pytestmark = pytest.mark.keras

EPOCHS = 12
CHOSEN = Stack.of(units=[16], batch_size=16)
OTHER = Stack.of(units=[8, 8], batch_size=16, preparation="robust_clip", activation="relu")


@pytest.fixture(scope="module", params=[("wine", 3), ("wine", 1), ("diabetes", 1)])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A bench, and the measurement of two stacks that were searched and three runs of one."""
    data, folds = request.param
    folder = tmp_path_factory.mktemp("models")
    described = load(data, None, "auto").describe()
    spec = StudySpec("s", described, {}, epochs=EPOCHS, folds=folds, yardstick=False)
    bench = JobBench(spec, 0, str(folder))
    runs = [confirmed(bench, CHOSEN, index) for index in range(3)]
    asked = measurement(CHOSEN, runs, [searched(bench, stack) for stack in (CHOSEN, OTHER)])
    job = Job("m", MEASUREMENT, None, 0, (), EPOCHS, folder="m", measures=asked)
    result = bench.measure(job)
    return SimpleNamespace(bench=bench, folder=folder, asked=asked, result=result, runs=runs)


def loaded(study: Any, kind: str) -> keras.Model:
    """Load a model of the measurement."""
    document = study.result.payload["models"][kind]
    model: Any = keras.models.load_model(study.folder / document["artifacts"]["keras"])
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_gives_the_recorded_figures(kind: str, study: Any) -> None:
    """Each of the four has the recorded test loss and metric on the test rows, to 1e-6."""
    bench, document = study.bench, study.result.payload["models"][kind]
    split = bench.split(None if kind != "single" else study.runs[0][0].split, CHOSEN)[0]
    model: Any = loaded(study, kind)
    p = np.asarray(model(split.x_test, training=False)).astype(np.float64)
    if bench.spec.data.classes:
        of_label = p[np.arange(len(p)), split.y_test]
        assert -np.log(of_label).mean() == pytest.approx(document["test"]["loss"][0], rel=1e-6)
        accuracy = (p.argmax(axis=1) == split.y_test).mean()
        assert accuracy == pytest.approx(document["test"]["accuracy"][0], rel=1e-6)
    else:
        rmse = np.sqrt(np.mean((p[:, 0] - split.y_test) ** 2))
        assert rmse == pytest.approx(document["test"]["rmse"][0], rel=1e-6)
        errors = ModelDescription.read(study.folder / document["artifacts"]["keras"]).residuals
        assert errors is not None
        low, high = errors.interval(p[:, 0], 0.9)
        held = np.mean((low <= split.y_test) & (split.y_test <= high))
        assert held == pytest.approx(document["coverage"], abs=1e-6)
    assert document["latency_ms"] > 0
    assert document["parameters"] > 0


def test_the_average_is_the_mean_of_its_networks(study: Any) -> None:
    """Its outputs are NumPy's mean of networks that are trained again with the same seeds."""
    bench = study.bench
    split = bench.split(None, CHOSEN)[0]
    document = study.result.payload["models"]["average"]
    assert [row["seed"] for row in document["members"]] == [r.seed for r in study.asked.refits]
    assert document["rows"] == len(split.y_train)
    single = []
    for refit in study.asked.refits:
        found = next(refitted(bench, CHOSEN, [refit]))
        assert found is not None
        single.append(predictions(export_model(bench, CHOSEN, *found), split.x_test))
    scorer = Scorer.of(bench.spec, split)
    mean = scorer.of_predictions(np.mean(single, axis=0))
    found_loss = scorer.figures(mean, "test")["loss"]
    calibration = document.get("calibration", {"temperature": 1.0})
    if calibration["temperature"] == 1.0:
        assert document["test"]["loss"][0] == pytest.approx(found_loss, rel=1e-5)


def test_the_ensemble_is_better_on_validation_than_the_mean_of_the_best(study: Any) -> None:
    """Its metric on the search's validation rows is at least as good as that of the plain mean of
    the best half of the candidates."""
    bench, document = study.bench, study.result.payload["models"]["ensemble"]
    spec = bench.spec
    splits = search_splits(spec)
    rows = np.concatenate([bench.valid_rows(which) for which in splits])
    y, asked = bench.dataset.y[np.sort(rows)], spec.asked
    ones = np.ones(len(y))
    scores, known = {}, {}
    for member in study.asked.pool:
        kept = read_predictions(bench.artifacts, member.predictions, spec.data.task)
        assert kept is not None
        np.testing.assert_array_equal(kept.rows, np.sort(rows))
        known[member.stack.stack_id] = kept.predictions
        scores[member.stack.stack_id] = asked.objective(asked.value(y, kept.predictions, ones))
    best = sorted(scores, key=lambda stack_id: scores[stack_id])[: (len(scores) + 1) // 2]
    plain = np.mean([known[stack_id] for stack_id in best], axis=0)
    chosen = [known[row["stack_id"]] for row in document["members"]]
    mean = np.average(chosen, axis=0, weights=[row["weight"] for row in document["members"]])
    assert (
        asked.objective(asked.value(y, mean, ones))
        <= asked.objective(asked.value(y, plain, ones)) + 1e-9
    )
    assert {row["stack_id"] for row in document["members"]} <= {CHOSEN.stack_id, OTHER.stack_id}


def test_kept_predictions_score_as_the_trial_did(study: Any) -> None:
    """A confirmation run's kept predictions have its recorded validation loss."""
    bench = study.bench
    job, result = study.runs[0]
    kept = read_predictions(
        bench.artifacts, [result.artifacts["predictions"]], bench.spec.data.task
    )
    assert kept is not None
    y = bench.dataset.y[kept.rows]
    if bench.spec.data.classes:
        loss = -np.log(kept.predictions[np.arange(len(y)), y]).mean()
    else:
        loss = np.mean((kept.predictions - y) ** 2) / bench.split(job.split, CHOSEN)[0].y_scale ** 2
    assert loss == pytest.approx(result.value, rel=2e-3)


def test_every_model_has_a_metric_on_rows_held_out(study: Any) -> None:
    """Each has a validation metric, with folds and without."""
    for kind in KINDS:
        assert np.isfinite(study.result.payload["models"][kind]["validation"])


def test_a_users_metric_may_refuse_few_rows(study: Any) -> None:
    """An ensemble is made by a metric that raises an error for half of the rows; it has no
    predictions of ensembles that other rows chose."""
    bench = copy(study.bench)
    rows = len({row for which in search_splits(bench.spec) for row in bench.valid_rows(which)})
    code = f"def choosy(y, p, w):\n    assert len(y) == {rows}\n    return float(p.max())\n"
    own = OwnMetric("metric.py", "choosy", "minimize", code)
    bench.spec = replace(bench.spec, own_metric=own)
    runs = confirmation_runs(bench, study.asked.runs[CHOSEN.stack_id])
    made = Maker(bench, study.asked, runs).make("ensemble")
    assert not isinstance(made, str)
    assert made.valid is None


def test_a_metric_that_refuses_rows_costs_only_its_own_figure(study: Any) -> None:
    """The model is measured on the test rows, without a validation metric."""
    bench = copy(study.bench)
    runs = confirmation_runs(bench, study.asked.runs[CHOSEN.stack_id])
    made = Maker(bench, study.asked, runs).make("average")
    assert not isinstance(made, str)
    assert made.valid is not None
    refused = len(made.valid.y)
    assert refused != len(made.network.split.y_test)
    code = f"def choosy(y, p, w):\n    assert len(y) != {refused}\n    return float(p.max())\n"
    own = OwnMetric("metric.py", "choosy", "minimize", code)
    bench.spec = replace(bench.spec, own_metric=own)
    document, _ = measured(bench, made, residuals(bench, made))
    assert "validation" not in document
    assert np.isfinite(document["test"]["loss"][0])


def test_a_network_that_diverges_is_left_out(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The average is of the other seeds; the refit, which has no other network, is not made."""

    def first_diverges(bench: Any, stack: Stack, asked: Any, runs: int) -> Iterator[Any]:
        for refit, network in zip(asked, refitted(bench, stack, asked, runs), strict=True):
            yield None if refit == study.asked.refits[0] else network

    monkeypatch.setattr("trainstack.workers.tasks.making.refitted", first_diverges)
    runs = confirmation_runs(study.bench, study.asked.runs[CHOSEN.stack_id])
    maker = Maker(study.bench, study.asked, runs)
    average = maker.make("average")
    assert not isinstance(average, str)
    seeds = [refit.seed for refit in study.asked.refits]
    assert [member.seed for member in average.members] == seeds[1:]
    assert maker.make("refit") == "training on all rows diverged"


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_of_a_quantity_has_errors_for_its_intervals(kind: str, study: Any) -> None:
    """Its file holds errors on rows that the networks behind them were not trained on."""
    document = study.result.payload["models"][kind]
    held = ModelDescription.read(study.folder / document["artifacts"]["keras"]).residuals
    assert (held is None) == bool(study.bench.spec.data.classes)
    if held is not None and kind == "average":
        runs = [study.bench.valid_rows(job.split) for job, _ in study.runs]
        assert held.rows == len(np.unique(np.concatenate(runs)))


def test_calibration_never_raises_the_validation_log_loss(study: Any) -> None:
    """Before and after stand in the document, in classification only."""
    for document in study.result.payload["models"].values():
        if not study.bench.spec.data.classes:
            assert "calibration" not in document
        else:
            found = document["calibration"]
            assert found["after"]["log_loss"] <= found["before"]["log_loss"] + 1e-12


def test_without_further_trainings_only_the_single_network_is_made(study: Any) -> None:
    """A measurement that asks for none has one model, and a reason for each other."""
    asked = MeasurementPayload(CHOSEN, CHOSEN, study.asked.runs)
    job = Job("m", MEASUREMENT, None, 0, (), EPOCHS, folder="n", measures=asked)
    found = study.bench.measure(job).payload["models"]
    assert "test" in found["single"]
    assert [kind for kind in KINDS if "left_out" in found[kind]] == ["refit", "average", "ensemble"]
