"""The metric that is asked for decides: the objective, the best epoch and the weights kept."""

from __future__ import annotations

import re
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from trainstack.search.cli.question import question
from trainstack.search.data.load import load
from trainstack.search.folds import SplitId
from trainstack.search.metrics.table import METRICS
from trainstack.search.records import CONFIRMATION, Outcome, Result
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.space import Space
from trainstack.workers.export.model import export_model
from trainstack.workers.messages import Job, MoreJobs, Ready, Setup
from trainstack.workers.runtime.trainer import serve
from trainstack.workers.tasks.jobs import JobBench

pytestmark = pytest.mark.keras
STACK = CHAPTER_DEFAULT.but(units=[8], batch_size=32, optimizer__learning_rate=0.02)
EPOCHS = 4


def rows(task: str) -> pd.DataFrame:
    """Return 200 rows with a target `y` and weights `w`."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 3))
    hidden = x[:, 0] + 0.5 * rng.normal(size=200)
    y = np.where(hidden > 0.5, "rare", "usual") if task == "classification" else np.exp(hidden)
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y, "w": rng.integers(1, 5, 200)})


def bench_of(folder: Path, task: str, weight: str | None = None, **asked: Any) -> JobBench:
    """Return a bench for a study of the rows."""
    path = folder / "rows.csv"
    rows(task).to_csv(path, index=False)
    data = load(str(path), "y", task, weight=weight)
    given = {"metric": None, "loss": None, "class_weight": None, **asked}
    spec = StudySpec(
        "m",
        data.describe(),
        Space.named("chapter").to_json(),
        epochs=EPOCHS,
        **question(data, **given),
    )
    return JobBench(StudySpec.from_json(spec.to_json()), 0, str(folder))


def confirmed(bench: JobBench) -> tuple[Result, np.ndarray, Any]:
    """Train a confirmation run; return it, the kept weights' predictions and the split."""
    job = Job("t", CONFIRMATION, STACK, 5, (SplitId(5),), EPOCHS, folder="m")
    result = bench.train(job, lambda measurement: None)
    split, data = bench.split(SplitId(5), STACK)
    program, _ = bench.program(STACK, data, EPOCHS)
    return result, split.predictions(program.outputs(split.prepare(split.x_valid))), split


@pytest.mark.parametrize("name", ["roc_auc", "f1_macro", "accuracy", "ece", "brier"])
def test_a_metric_of_classes_decides(name: str, tmp_path: Path) -> None:
    """The value is the least objective of all epochs, and that of the weights kept."""
    bench = bench_of(tmp_path, "classification", metric=name)
    result, p, split = confirmed(bench)
    objectives = [m.minimized for m in result.measurements]
    assert result.value == min(objectives)
    assert result.best_epoch == int(np.argmin(objectives)) + 1
    value = METRICS[name].function(split.y_valid, p, np.ones(len(p)))
    assert result.value == pytest.approx(METRICS[name].objective(value), abs=1e-6)
    assert result.metrics[name] == pytest.approx(value, abs=1e-6)
    assert result.metrics["loss"] == result.measurements[result.best_epoch - 1].valid_loss


def test_the_area_is_that_of_scikit_learn_with_weights(tmp_path: Path) -> None:
    """Weights of rows and of classes multiply, in the metric as well."""
    bench = bench_of(
        tmp_path, "classification", "w", metric="roc_auc", class_weight='{"rare": 3.0}'
    )
    result, p, split = confirmed(bench)
    frame = rows("classification")
    assert bench.dataset.columns == ("a", "b")
    expected = sk.roc_auc_score(split.y_valid, p[:, 1], sample_weight=split.w_valid)
    assert result.metrics["roc_auc"] == pytest.approx(expected, abs=1e-6)
    assert split.w_train.mean() == pytest.approx(1.0)
    ratio = split.w_train / np.where(split.y_train == 0, 3.0, 1.0)
    assert set(np.round(ratio / ratio.min()).astype(int)) == set(frame["w"])


def test_balanced_classes_have_equal_weight(tmp_path: Path) -> None:
    """Each class's training rows weigh as much in all as the other's."""
    bench = bench_of(tmp_path, "classification", class_weight="balanced")
    split, _ = bench.split(SplitId(0), STACK)
    masses = np.bincount(split.y_train, weights=split.w_train)
    assert masses == pytest.approx(np.full(2, len(split.y_train) / 2))


@pytest.mark.parametrize(
    ("name", "loss"),
    [("mae", None), ("r2", None), ("poisson_deviance", None), ("rmse", "huber"), ("rmsle", None)],
)
def test_a_metric_of_numbers_decides(name: str, loss: str | None, tmp_path: Path) -> None:
    """Its value is in the target's own unit, whatever the loss."""
    bench = bench_of(tmp_path, "regression", "w", metric=name, loss=loss)
    result, p, split = confirmed(bench)
    value = METRICS[name].function(split.y_valid, p, split.w_valid)
    assert result.value == pytest.approx(METRICS[name].objective(value), rel=1e-5)
    assert result.metrics[name] == pytest.approx(value, rel=1e-5)
    assert result.metrics["rmse"] == pytest.approx(
        METRICS["rmse"].function(split.y_valid, p, split.w_valid), rel=1e-5
    )


def test_a_metric_of_the_users_own_decides(tmp_path: Path) -> None:
    """A worker that has only the spec computes it."""
    path = tmp_path / "own.py"
    path.write_text("def right(y, p, w):\n    return (p.argmax(1) == y).mean()\n", "utf-8")
    path.write_text(path.read_text() + "right.direction = 'maximize'\n")
    bench = bench_of(tmp_path, "classification", metric=f"{path}:right")
    path.unlink()
    result, p, split = confirmed(bench)
    assert result.metrics["right"] == (p.argmax(1) == split.y_valid).mean()
    assert result.value == pytest.approx(1 - result.metrics["right"])


FAILING = {
    "raises": ("p / 'x'", "numpy|TypeError|UFunc"),
    "returns nan": ("float('nan')", "returned nan"),
    "returns nothing": ("None", "returned None"),
    "returns a text": ("'0.5'", "returned '0.5'"),
}


@pytest.mark.usefixtures("bundles")
@pytest.mark.parametrize("name", FAILING)
def test_an_own_metric_that_fails_later_ends_the_trial_with_one_line(
    name: str, tmp_path: Path
) -> None:
    """The cause names the function, its file and line, the fault and what to do."""
    text, said = FAILING[name]
    path = tmp_path / "own.py"
    path.write_text(f"def odd(y, p, w):\n    return 1.0 if p.std(0).max() == 0 else {text}\n")
    spec = bench_of(tmp_path, "classification", metric=f"{path}:odd").spec
    here, there = Pipe()
    here.send(Setup(spec, str(tmp_path)))
    here.send(Job("t", CONFIRMATION, STACK, 5, (SplitId(5),), EPOCHS, folder="m"))
    here.send(MoreJobs("t", ()))
    here.send(None)
    serve(there)
    answers = [here.recv(), here.recv(), here.recv()]
    assert isinstance(answers[0], Ready)
    result = answers[-1].result
    assert result.outcome == Outcome.FAILED
    assert "\n" not in result.cause
    for part in (r"odd", r"own\.py, line [12]", said, "--study"):
        assert re.search(part, result.cause), part


def test_the_exported_model_of_counts_predicts_rates(tmp_path: Path) -> None:
    """Reloaded, a model trained on the Poisson loss gives the study's predictions in its unit."""
    bench = bench_of(tmp_path, "regression", "w", metric="poisson_deviance")
    _, rates, split = confirmed(bench)
    program, _ = bench.program(STACK, bench.split(SplitId(5), STACK)[1], EPOCHS)
    export_model(bench, STACK, program, split).save(tmp_path / "counts.keras")
    model = keras.models.load_model(tmp_path / "counts.keras")
    found = np.asarray(model(split.x_valid)).reshape(rates.shape)
    np.testing.assert_allclose(found, rates, rtol=1e-5)
    assert (found > 0).all()
    assert found.mean() == pytest.approx(np.average(split.y_valid), rel=0.5)
