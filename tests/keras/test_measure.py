"""The single measurement on the test set, with real networks and the baselines beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from trainstack.search.conclusion.scores import score_on_test
from trainstack.search.conclusion.trivial import trivial, trivial_warnings
from trainstack.search.data.load import load
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.planned_run import confirmation_seed
from trainstack.search.folds import SplitId
from trainstack.search.payloads import MeasurementPayload
from trainstack.search.records import CONFIRMATION, MEASUREMENT
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.space import Space
from trainstack.workers.messages import Job
from trainstack.workers.tasks.jobs import JobBench

pytestmark = pytest.mark.keras
STACK = CHAPTER_DEFAULT.but(units=[8, 4], batch_size=32, optimizer__learning_rate=0.02)
EPOCHS = 2


def bench_of(folder: Path, frame: pd.DataFrame, target: str, **changes: Any) -> JobBench:
    """A bench for a table."""
    frame.to_csv(folder / "rows.csv", index=False)
    data = load(str(folder / "rows.csv"), target, "auto").describe()
    spec = StudySpec("m", data, Space.named("chapter").to_json(), epochs=EPOCHS, **changes)
    return JobBench(spec, 0, str(folder))


def measured(bench: JobBench, runs: int = 2) -> dict[str, Any]:
    """Confirm the stack with some seeds, and measure it on the test set."""
    kept = {}
    for index in range(runs):
        seed = confirmation_seed(bench.spec.seed, index)
        run = Job(str(index), CONFIRMATION, STACK, seed, (SplitId(seed),), EPOCHS, folder="m")
        kept[str(index)] = dict(bench.train(run, lambda measurement: None).artifacts)
    measures = MeasurementPayload(STACK, STACK, {STACK.stack_id: kept})
    asked = Job("m", MEASUREMENT, None, 0, (), EPOCHS, folder="m", measures=measures)
    return dict(bench.measure(asked).payload)


def rare_rows() -> pd.DataFrame:
    """Return 6000 rows, 12 of them positive."""
    rng = np.random.default_rng(31)
    y = np.zeros(6000, int)
    y[rng.choice(6000, 12, replace=False)] = 1
    return pd.DataFrame({"x1": rng.normal(size=6000) + y, "x2": rng.normal(size=6000), "rare": y})


def test_an_accuracy_on_rare_positives_is_the_majority_share(tmp_path: Path) -> None:
    """With 12 positives of 6000 the accuracy is identified as the majority class's share."""
    bench = bench_of(tmp_path, rare_rows(), "rare")
    chosen = measured(bench)["chosen"]
    split = bench.dataset.split(confirmation_seed(0, 0))
    beside = trivial(chosen, "accuracy")
    assert beside.test.accuracy == pytest.approx(np.mean(split.y_test == 0))
    scores = score_on_test(chosen, Deciding())
    said = trivial_warnings(beside, scores, None, "accuracy")
    assert "An accuracy of 0.998 is the majority class's share: judge by the loss." in said


def test_the_difference_to_the_trivial_predictor_is_that_of_the_losses(tmp_path: Path) -> None:
    """It is the test loss minus the trivial predictor's, also in regression."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(y=100 + 7 * x[:, 0])
    chosen = measured(bench_of(tmp_path, frame, "y"))["chosen"]
    beside = chosen["trivial"]
    expected = np.mean(chosen["test"]["loss"]) - beside["test"]["loss"]
    assert beside["difference"]["loss"]["mean"] == pytest.approx(expected, abs=1e-6)
    assert beside["difference"]["loss"]["n"] == 60
    assert beside["test"]["rmse"] == pytest.approx(7, rel=0.2)


def test_a_stack_that_was_not_confirmed_has_the_validation_figures(tmp_path: Path) -> None:
    """Without confirmation runs nothing is tested, and the class shares are still scored."""
    found = measured(bench_of(tmp_path, rare_rows(), "rare", replicates=0), runs=0)
    assert set(found["chosen"]) == {"trivial"}
    assert "yardstick" not in found
    assert found["chosen"]["trivial"]["validation"]["accuracy"] == pytest.approx(0.998, abs=1e-3)


def test_the_yardstick_learns_from_the_rows_of_the_first_seed(tmp_path: Path) -> None:
    """It is fitted on that seed's training part, and scored on its validation and test parts."""
    bench = bench_of(tmp_path, rare_rows(), "rare")
    found = measured(bench)["yardstick"]
    split = bench.dataset.split(confirmation_seed(0, 0))
    with threadpool_limits(1, user_api="openmp"):
        model = HistGradientBoostingClassifier(random_state=0).fit(split.x_train, split.y_train)
        p = model.predict_proba(split.x_test)
    assert found["test"]["loss"] == pytest.approx(log_loss(split.y_test, p, labels=[0, 1]))
    assert set(found) == {"model", "validation", "test", "seconds"}


def test_a_launch_without_the_yardstick_trains_none(tmp_path: Path) -> None:
    """The study's pinned setting decides whether a yardstick is trained."""
    assert "yardstick" not in measured(bench_of(tmp_path, rare_rows(), "rare", yardstick=False))


def test_a_yardstick_that_fails_leaves_the_measurement_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason replaces its figures; the network's figures and the exported model exist."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", refuse)
    found = measured(bench_of(tmp_path, rare_rows(), "rare"))
    assert found["yardstick"]["left_out"] == "MemoryError: no room"
    assert len(found["chosen"]["test"]["loss"]) == 2
    assert found["models"]["single"]["artifacts"]
