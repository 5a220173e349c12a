"""Preparations in every task: together and alone, streamed, measured, exported, replayed."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from trainstack.search.data.load import load
from trainstack.search.data.preparation import fit
from trainstack.search.evidence.planned_run import confirmation_seed
from trainstack.search.folds import SplitId, fold_seed, search_splits
from trainstack.search.payloads import MeasurementPayload, Refit
from trainstack.search.records import CONFIRMATION, MEASUREMENT, SEARCH, Measurement
from trainstack.search.spec import StudySpec
from trainstack.spaces.preparations import PREPARATIONS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.streaming import StreamedData
from trainstack.workers.export.keras_code import script
from trainstack.workers.export.preparation import prepared
from trainstack.workers.messages import Job
from trainstack.workers.tasks.jobs import JobBench
from trainstack.workers.tasks.replay import replay

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("one_trace")]
EPOCHS, FOLDS, SEED = 3, 3, 5
STACKS = {
    name: Stack.of(units=[8], batch_size=16, preparation=name, optimizer__learning_rate=0.02)
    for name in PREPARATIONS
}


def go_on(*_: Any) -> None:
    """A judge that ends nothing."""


class Whole:
    """A monitor that ends nothing."""

    def tell(self, job: Job, measurement: Measurement) -> None:
        return None

    def after_first_folds(self, job: Job, values: Sequence[float]) -> None:
        return None

    def alive(self, job: Job) -> None:
        return None


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A table with a skewed column, ties, gaps and categories."""
    rng = np.random.default_rng(0)
    size = rng.lognormal(size=240).round(3)
    frame = pd.DataFrame(
        {
            "size": size,
            "score": rng.choice([0.0, 0.1, 2.7], 240, p=[0.5, 0.4, 0.1]),
            "age": np.where(np.arange(240) % 7 == 0, np.nan, rng.integers(0, 90, 240)),
            "colour": rng.choice(["red", "green", "blue"], 240),
            "kind": np.where(np.log(size) + rng.normal(size=240) > 0, "a", "b"),
        }
    )
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    frame.to_csv(path, index=False)
    return str(path)


def bench_of(rows: str, folder: Path, **changes: Any) -> JobBench:
    """A bench for the table."""
    data = load(rows, "kind", "auto").describe()
    return JobBench(StudySpec("p", data, {}, epochs=EPOCHS, **changes), 0, str(folder))


def confirmation(stack: Stack) -> Job:
    """The first confirmation run of a stack."""
    seed, token = confirmation_seed(0, 0), stack["preparation"]
    return Job(token, CONFIRMATION, stack, seed, (SplitId(seed),), EPOCHS, folder="p")


def test_each_preparation_trains_another_network_with_the_same_program(
    rows: str, tmp_path: Path
) -> None:
    """Runs of all preparations, trained at once in one program, have the curves of each alone."""
    bench = bench_of(rows, tmp_path)
    jobs = [confirmation(stack) for stack in STACKS.values()]
    together = bench.train_bundle(jobs, go_on)
    assert len({bench.program_of(job)[0] for job in jobs}) == 1
    assert len({result.value for result in together}) == len(jobs)
    for job, result in zip(jobs, together, strict=True):
        assert result.value == pytest.approx(bench.train(job, go_on).value, rel=1e-4)


def test_preparations_share_a_splits_rows_and_the_bench_keeps_few(
    rows: str, tmp_path: Path
) -> None:
    """Rows are encoded once for all preparations, and splits beyond the bound are dropped."""
    bench = bench_of(rows, tmp_path)
    splits = [bench.split(SplitId(SEED), stack)[0] for stack in STACKS.values()]
    assert all(split.x_train is splits[0].x_train for split in splits)
    again, _ = bench.split(SplitId(SEED), STACKS["unit"])
    assert again is splits[-1]
    for seed in range(bench.most_splits):
        bench.split(SplitId(100 + seed), STACKS["quantile"])
    assert bench.split(SplitId(SEED), STACKS["unit"])[0] is not again


@pytest.mark.parametrize("name", PREPARATIONS)
def test_folds_are_each_prepared_by_their_own_training_rows(
    name: str, rows: str, tmp_path: Path
) -> None:
    """A trial's folds in a bundle have the losses of each fold's network trained alone."""
    bench = bench_of(rows, tmp_path, folds=FOLDS)
    splits = search_splits(bench.spec)
    job = Job("t", SEARCH, STACKS[name], SEED, splits, EPOCHS, folder="p", again=FOLDS)
    found = bench.train_folds(job, Whole()).payload["folds"]
    for place, which in enumerate(splits):
        seed = fold_seed(SEED, place)
        alone = Job("t", SEARCH, STACKS[name], seed, (which,), EPOCHS, folder="")
        assert found[place] == pytest.approx(bench.train(alone, go_on).value, rel=1e-4)
        split, data = bench.split(which, STACKS[name])
        expected = fit(name, split.x_train)(split.x_train).astype(np.float32)
        np.testing.assert_array_equal(data.x_train[: len(expected)], expected)


@pytest.mark.parametrize("name", PREPARATIONS)
def test_streamed_rows_are_prepared_alike(name: str, rows: str, tmp_path: Path) -> None:
    """Data that does not fit on the device gives the same curve."""
    bench, streaming = (bench_of(rows, tmp_path) for _ in range(2))
    streaming.fits_bytes = 0
    job = confirmation(STACKS[name])
    assert isinstance(streaming.split(job.split, STACKS[name])[1], StreamedData)
    curves = [
        [measured.valid_loss for measured in each.train(job, go_on).measurements]
        for each in (bench, streaming)
    ]
    assert curves[0] == pytest.approx(curves[1], rel=1e-5)


@pytest.mark.parametrize("refit", [None, Refit(SEED, 2)])
@pytest.mark.parametrize("name", PREPARATIONS)
def test_the_exported_model_has_the_measured_loss(
    name: str, refit: Refit | None, rows: str, tmp_path: Path
) -> None:
    """The saved model takes the table's columns and gives the test loss that was measured."""
    bench, stack = bench_of(rows, tmp_path, yardstick=False), STACKS[name]
    kept = {"0": dict(bench.train(confirmation(stack), go_on).artifacts)}
    measures = MeasurementPayload(stack, stack, {stack.stack_id: kept}, (refit,) if refit else ())
    asked = Job("m", MEASUREMENT, None, 0, (), EPOCHS, folder="p", measures=measures)
    found = dict(bench.measure(asked).payload)
    delivered = found["models"]["refit" if refit else "single"]
    dataset = bench.dataset
    split = dataset.whole() if refit else dataset.split(confirmation_seed(0, 0))
    model: Any = keras.models.load_model(tmp_path / delivered["artifacts"]["keras"])
    script = runpy.run_path(str(tmp_path / delivered["artifacts"]["predict"]))
    tested = pd.read_csv(rows).iloc[dataset.division.positions(0)["test"]]
    p = np.asarray(model(script["features"](tested), training=False))
    loss = -np.log(p[np.arange(len(p)), split.y_test]).mean()
    assert loss == pytest.approx(delivered["test"]["loss"][0], rel=1e-4)


@pytest.mark.parametrize("offset", [0.0, 1e9])
@pytest.mark.parametrize("name", PREPARATIONS)
def test_a_saved_model_prepares_as_the_engine(name: str, offset: float, tmp_path: Path) -> None:
    """Ties, constants, two values, small units and an offset: the same inputs after loading."""
    rng = np.random.default_rng(3)
    x = np.stack(
        [
            rng.normal(size=300) + offset,
            rng.choice([0.0, 0.1, 2.7], 300, p=[0.6, 0.3, 0.1]),
            rng.integers(0, 2, 300),
            np.full(300, 5.0),
            rng.lognormal(size=300) * 1e-9,
        ],
        axis=1,
    )
    ours = fit(name, x)
    inputs = keras.Input((5,), dtype=ours.precision)
    keras.Model(inputs, prepared(inputs, ours)).save(tmp_path / "m.keras")
    model: Any = keras.models.load_model(tmp_path / "m.keras")
    beyond = np.vstack([x, x.min(axis=0) - 1e-9, x.max(axis=0) + 1e-9, x[:9] * 1.01 + 0.5])
    for rows in (x, beyond):
        np.testing.assert_allclose(model(rows), ours(rows), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("refit", [None, Refit(SEED, 2)])
@pytest.mark.parametrize("name", PREPARATIONS)
def test_the_script_prepares_as_the_engine_and_trains(
    name: str, refit: Refit | None, rows: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It trains on the engine's inputs, and prints its figures."""
    dataset = load(rows, "kind", "auto")
    spec = StudySpec("s", dataset.describe(), {}, epochs=EPOCHS)
    text = script(dataset, spec, STACKS[name], [7], {"loss": [0.5]}, refit)
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "train.py", "exec"), names)
    train, seen = names["train"], []

    def spy(*parts: np.ndarray) -> Any:
        seen.extend(parts)
        return train(*parts)

    names |= {"train": spy, "sys": SimpleNamespace(argv=["train.py"])}
    names["main"]()
    assert capsys.readouterr().out.startswith("seed 7: test loss ")
    split = (dataset.whole() if refit else dataset.split(7)).prepared_by(name).prepared()
    np.testing.assert_allclose(seen[0], split.x_train, rtol=1e-4, atol=1e-4)
    if not refit:
        np.testing.assert_allclose(seen[2], split.x_valid, rtol=1e-4, atol=1e-4)


def test_a_replay_prepares_as_the_trial(rows: str, tmp_path: Path) -> None:
    """The curve of a replayed confirmation is that of the run."""
    bench, stack = bench_of(rows, tmp_path), STACKS["robust_clip"]
    run = bench.train(confirmation(stack), go_on)
    (found,) = replay(
        {
            **{"spec": bench.spec.to_json(), "stack": stack.to_json(), "kind": CONFIRMATION},
            **{"seed": confirmation_seed(0, 0), "seed_index": 0, "epochs": EPOCHS, "folds": 1},
            "threads": 0,
        }
    )
    assert found["curve"] == pytest.approx([m.minimized for m in run.measurements], rel=1e-5)
