"""Networks for several targets: their figures are means of those of single targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error

from trainstack.search.conditions import AUTOENCODER, LATER, PLAIN, RELATED, Condition
from trainstack.search.data.load import load
from trainstack.search.evidence.planned_run import confirmation_seed
from trainstack.search.folds import SplitId
from trainstack.search.payloads import MeasurementPayload
from trainstack.search.records import CONFIRMATION, MEASUREMENT, Result
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.space import Space
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.messages import Job, Kept
from trainstack.workers.tasks.jobs import JobBench

pytestmark = pytest.mark.keras
STACK = CHAPTER_DEFAULT.but(units=[16, 8], batch_size=16, optimizer__learning_rate=0.01)
EPOCHS = 4
SEED = confirmation_seed(0, 0)
LABELS, QUANTITIES = ["wet", "cold", "loud"], ["price", "rent"]


def bench_of(folder: Path, targets: list[str], transform: str = "none", **asked: Any) -> JobBench:
    """A bench for 400 rows with three labels and two quantities of different size."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    for name, column, bound in zip(LABELS, x.T, (0.0, 0.5, -1.0), strict=True):
        frame[name] = np.where(column > bound, "yes", "no")
    frame["price"] = np.exp(8 + x[:, 0] + 0.1 * rng.normal(size=400))
    frame["rent"] = np.exp(x[:, 1] - x[:, 2])
    frame[["a", "b", "c", *targets]].to_csv(folder / "rows.csv", index=False)
    data = load(str(folder / "rows.csv"), tuple(targets), "auto", transform=transform).describe()
    spec = StudySpec("m", data, Space.named("chapter").to_json(), epochs=EPOCHS, **asked)
    return JobBench(spec, 0, str(folder))


def confirmed(bench: JobBench, condition: Condition = PLAIN) -> Result:
    """Train the stack with the first fresh seed."""
    run = Job(
        "0", CONFIRMATION, STACK, SEED, (SplitId(SEED),), EPOCHS, folder="m", condition=condition
    )
    return bench.train(run, lambda measurement: None)


def measured(bench: JobBench, run: Result) -> dict[str, Any]:
    """Measure the stack on the test set."""
    kept = {STACK.stack_id: {"0": dict(run.artifacts)}}
    measures = MeasurementPayload(STACK, STACK, kept)
    asked = Job("m", MEASUREMENT, None, 0, (), EPOCHS, folder="m", measures=measures)
    return dict(bench.measure(asked).payload)


def outputs_of(bench: JobBench, run: Result, part: str) -> tuple[Any, np.ndarray]:
    """Return the split, and the network's outputs for a part."""
    program, split = bench.weights(STACK, Kept(SEED, SplitId(SEED), run.artifacts["weights"]))
    outputs = program.outputs(getattr(split.prepared(), f"x_{part}"))
    return split, outputs.astype(np.float64)


def test_labels_are_scored_as_scikit_learn_scores_each(tmp_path: Path) -> None:
    """Loss and accuracy are means over labels, also in validation and of gradient boosting."""
    bench = bench_of(tmp_path, LABELS)
    run = confirmed(bench)
    found = measured(bench, run)
    split, outputs = outputs_of(bench, run, "test")
    p = 1 / (1 + np.exp(-outputs))
    loss = [log_loss(split.y_test[:, k], p[:, k]) for k in range(3)]
    accuracy = [accuracy_score(split.y_test[:, k], p[:, k] > 0.5) for k in range(3)]
    rows = found["chosen"]["targets"]
    assert [row["target"] for row in rows] == LABELS
    assert [row["test"]["loss"][0] for row in rows] == pytest.approx(loss, rel=1e-6)
    assert [row["test"]["accuracy"][0] for row in rows] == pytest.approx(accuracy)
    assert found["chosen"]["test"]["loss"][0] == pytest.approx(np.mean(loss), rel=1e-6)
    assert found["chosen"]["test"]["accuracy"][0] == pytest.approx(np.mean(accuracy))
    split, outputs = outputs_of(bench, run, "valid")
    right = ((outputs > 0) == (split.y_valid == 1)).mean()
    assert run.metrics["accuracy"] == pytest.approx(right)
    shares = np.tile(split.y_train.mean(axis=0), (len(split.y_test), 1))
    trivial = [log_loss(split.y_test[:, k], shares[:, k]) for k in range(3)]
    assert found["chosen"]["trivial"]["test"]["loss"] == pytest.approx(np.mean(trivial))
    boosted = []
    for k in range(3):
        model = HistGradientBoostingClassifier(random_state=0)
        model.fit(split.x_train, split.y_train[:, k])
        boosted.append(log_loss(split.y_test[:, k], model.predict_proba(split.x_test)))
    assert found["yardstick"]["test"]["loss"] == pytest.approx(np.mean(boosted))


@pytest.mark.parametrize("transform", ["none", "log"])
def test_quantities_have_their_own_units(transform: str, tmp_path: Path) -> None:
    """Each target's rmse is in its unit; the study's is their mean, the loss free of units."""
    bench = bench_of(tmp_path, QUANTITIES, transform, yardstick=False)
    run = confirmed(bench)
    found = measured(bench, run)["chosen"]

    def each(part: str) -> tuple[list[float], float]:
        split, outputs = outputs_of(bench, run, part)
        y = split.y_train
        shown = outputs * y.std(axis=0) + y.mean(axis=0)
        if transform == "log":
            shown = np.exp(outputs * np.log(y).std(axis=0) + np.log(y).mean(axis=0))
        truth = getattr(split, f"y_{part}")
        errors = [root_mean_squared_error(truth[:, k], shown[:, k]) for k in range(2)]
        return errors, float(np.mean((np.array(errors) / y.std(axis=0)) ** 2))

    errors, loss = each("test")
    assert [row["test"]["rmse"][0] for row in found["targets"]] == pytest.approx(errors, rel=1e-6)
    assert found["test"]["rmse"][0] == pytest.approx(np.mean(errors), rel=1e-6)
    assert found["test"]["loss"][0] == pytest.approx(loss, rel=1e-5)
    errors, loss = each("valid")
    assert run.metrics["rmse"] == pytest.approx(np.mean(errors), rel=1e-5)
    assert run.value == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("targets", [LABELS, QUANTITIES])
def test_streamed_targets_give_the_same_curve(targets: list[str], tmp_path: Path) -> None:
    """Data that does not fit on the device is trained and measured alike."""
    resident = confirmed(bench_of(tmp_path, targets))
    bench = bench_of(tmp_path, targets)
    bench.fits_bytes = 0
    assert isinstance(bench.split(SplitId(SEED), STACK)[1], StreamedData)
    streamed = confirmed(bench)
    for name in ("valid_loss", "metric"):
        curves = [[getattr(m, name) for m in run.measurements] for run in (resident, streamed)]
        assert curves[1] == pytest.approx(curves[0], rel=1e-4)


@pytest.mark.parametrize(("targets", "transform"), [(LABELS, "none"), (QUANTITIES, "log")])
def test_claims_are_tested_on_several_targets(
    targets: list[str], transform: str, tmp_path: Path
) -> None:
    """Few labels and pretrained layers work; a related task needs classes, and says so."""
    bench = bench_of(tmp_path, targets, transform, experiment=("C21",))
    few = Condition(labels=50, pretrained=AUTOENCODER)
    assert confirmed(bench, few).outcome == "completed"
    related = confirmed(bench, Condition(classes=LATER, labels=50, pretrained=RELATED))
    assert related.outcome == "infeasible"
    assert "this is data without classes" in str(related.cause)
