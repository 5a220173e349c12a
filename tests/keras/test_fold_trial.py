"""A search trial on folds: each fold as it is trained alone, the first ones, and what ends it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainstack.search.data.load import load
from trainstack.search.data.split_plan import SplitPlan
from trainstack.search.folds import SplitId, fold_seed, search_splits
from trainstack.search.records import SEARCH, Measurement, Outcome, Result
from trainstack.search.sampling.fold_racing import first_folds
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.streaming import put
from trainstack.workers.engine.training import Training
from trainstack.workers.messages import INTERRUPTED, Job
from trainstack.workers.tasks.jobs import JobBench

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("bundles")]

FOLDS, EPOCHS, SEED = 3, 6, 11
SMALL = Stack.of(units=[8, 8], normalization="before", dropout="all", dropout__rate=0.2)
LARGE = SMALL.but(units=[128, 96])  # too large for a bundle on a CPU
FIRST = first_folds(FOLDS)


@dataclass
class Script:
    """A monitor that ends a trial where it is asked to, and keeps what it was told."""

    at_epoch: int = 0
    after_first: str | None = None
    when_alive: str | None = None
    outcome: str = Outcome.PRUNED
    told: list[Measurement] = field(default_factory=list)
    first: tuple[float, ...] = ()
    alive_times: int = 0

    def tell(self, job: Job, measurement: Measurement) -> str | None:
        self.told.append(measurement)
        return self.outcome if measurement.epoch == self.at_epoch else None

    def after_first_folds(self, job: Job, values: Sequence[float]) -> str | None:
        self.first = tuple(values)
        return self.after_first

    def alive(self, job: Job) -> str | None:
        self.alive_times += 1
        return self.when_alive


def bench_of(folder: Path, **changes: object) -> JobBench:
    """A bench for wine, whose 142 rows that are not for testing make folds of 48, 47 and 47."""
    spec = StudySpec("s", load("wine", None, "auto").describe(), {}, folds=FOLDS)
    return JobBench(replace(spec, **changes), 0, str(folder))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> JobBench:
    return bench_of(tmp_path_factory.mktemp("folds"))


def job_of(bench: JobBench, stack: Stack) -> Job:
    splits = search_splits(bench.spec)
    return Job("t", SEARCH, stack, SEED, splits, EPOCHS, folder="s", again=len(splits))


def alone(bench: JobBench, stack: Stack, fold: int) -> Result:
    """Train one fold's network by itself."""
    job = replace(
        job_of(bench, stack),
        splits=(SplitId(bench.spec.seed, fold),),
        seed=fold_seed(SEED, fold),
        folder="",
    )
    return bench.train(job, lambda measurement: None)


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.checkpoint.npz"))


@pytest.mark.parametrize("stack", [SMALL, LARGE], ids=["bundle", "in turn"])
def test_the_folds_of_a_trial_are_trained_as_alone(bench: JobBench, stack: Stack) -> None:
    """Each fold has the loss that its network has alone, and the trial's value is their mean."""
    monitor = Script()
    found = bench.train_folds(job_of(bench, stack), monitor)
    singles = [alone(bench, stack, fold) for fold in range(FOLDS)]
    assert found.outcome == Outcome.COMPLETED
    values = found.payload["folds"]
    np.testing.assert_allclose(values, [single.value for single in singles], rtol=1e-5)
    assert found.value == pytest.approx(fmean(values))
    assert found.metrics["accuracy"] == pytest.approx(
        fmean(single.metrics["accuracy"] for single in singles)
    )
    assert monitor.first == tuple(values[:FIRST])
    assert monitor.alive_times > 0


def test_a_trials_curve_is_the_mean_over_its_first_folds(bench: JobBench) -> None:
    """For each epoch the monitor receives the mean of the first folds' validation losses."""
    monitor = Script()
    found = bench.train_folds(job_of(bench, LARGE), monitor)
    curves = [
        [measured.valid_loss for measured in alone(bench, LARGE, fold).measurements]
        for fold in range(FIRST)
    ]
    expected = np.mean(curves, axis=0)
    told = [measured.valid_loss for measured in monitor.told]
    np.testing.assert_allclose([m.valid_loss for m in found.measurements], expected, rtol=1e-5)
    np.testing.assert_allclose(told, expected[: len(told)], rtol=1e-5)
    assert len(told) >= EPOCHS - 1


def test_a_trial_that_is_behind_ends_after_its_first_folds(bench: JobBench) -> None:
    """It is pruned with the mean of the first folds; the others are not trained."""
    found = bench.train_folds(job_of(bench, SMALL), Script(after_first=Outcome.PRUNED))
    assert found.outcome == Outcome.PRUNED
    assert len(found.payload["folds"]) == FIRST
    assert found.value == pytest.approx(fmean(found.payload["folds"]))
    assert found.cause == f"behind on the first {FIRST} folds"


def test_a_rung_ends_all_first_folds(bench: JobBench) -> None:
    """Pruned at a rung, a trial has the epochs up to it and no verdict after the first folds."""
    monitor = Script(at_epoch=2)
    found = bench.train_folds(job_of(bench, SMALL), monitor)
    assert (found.outcome, len(found.measurements), monitor.first) == (Outcome.PRUNED, 2, ())


def test_a_fold_that_diverges_ends_the_trial(bench: JobBench) -> None:
    """One fold's loss that is not finite makes the trial diverged, with that fold's cause."""
    wild = Stack.of(units=[64] * 4, activation="relu", initializer="he_normal", optimizer="sgd")
    wild = wild.but(optimizer__learning_rate=100.0, schedule="constant")
    found = bench.train_folds(job_of(bench, wild), Script())
    assert (found.outcome, found.value) == (Outcome.DIVERGED, None)
    assert "not finite" in (found.cause or "")


@pytest.mark.parametrize("stack", [SMALL, LARGE], ids=["bundle", "in turn"])
@pytest.mark.parametrize("where", ["first folds", "later folds"])
def test_an_interrupted_trial_goes_on_where_it_was(
    tmp_path: Path, stack: Stack, where: str
) -> None:
    """Resumed from its checkpoints it ends with the same folds, and leaves no checkpoint."""
    bench = bench_of(tmp_path)
    whole = bench.train_folds(replace(job_of(bench, stack), folder=""), Script())
    stops = (
        Script(at_epoch=3, outcome=INTERRUPTED)
        if where == "first folds"
        else Script(when_alive=INTERRUPTED)
    )
    assert bench.train_folds(job_of(bench, stack), stops).outcome == INTERRUPTED
    kept = checkpoints(tmp_path)
    assert len(kept) >= FIRST
    monitor = Script()
    again = bench.train_folds(job_of(bench, stack), monitor)
    np.testing.assert_allclose(again.payload["folds"], whole.payload["folds"], rtol=1e-6)
    # Known epochs are not trained again: a second training would take another time.
    known = [measured.seconds for measured in monitor.told[:3]]
    assert known == [measured.seconds for measured in stops.told[: len(known)]]
    assert checkpoints(tmp_path) == []


def test_padding_changes_no_figure(bench: JobBench) -> None:
    """Folds of unequal length share a program, and have the losses of their rows alone."""
    program = None
    for fold in range(FOLDS):
        split, data = bench.split(SplitId(bench.spec.seed, fold), LARGE)
        assert isinstance(data, DeviceData)
        assert data.rows == (len(split.y_train), len(split.y_valid))
        found, _ = bench.program(LARGE, data, EPOCHS)
        assert program in (None, found)
        program = found
        program.reset(LARGE, SEED)
        order = np.zeros((1, 8), np.int32)
        result = program.epoch(LARGE, data, order, np.zeros(1, np.float32), None, 0)
        program.settle()
        standard = split.prepared()
        loss = program.loss(standard.x_valid, standard.y_valid)
        assert result.valid_loss == pytest.approx(loss, rel=1e-5)
        accuracy = (program.outputs(standard.x_valid).argmax(1) == standard.y_valid).mean()
        assert result.metric == pytest.approx(accuracy)


@pytest.mark.parametrize("stack", [LARGE, LARGE.but(averaging="last")], ids=["plain", "averaged"])
def test_folds_of_unequal_length_are_traced_once(
    tmp_path: Path, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if they have unequal numbers of steps, as groups or periods may; each is as alone."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(90, 3)), columns=[*"aby"])
    frame["who"] = np.repeat(np.arange(9), [4, 16, 6, 14, 8, 12, 5, 15, 10])
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = load(str(tmp_path / "t.csv"), "y", "regression", plan=SplitPlan(group="who"))
    stack, traced = stack.but(batch_size=8), []
    trace = Program._trace_epoch

    def noted(program: Program, *arguments: Any) -> Any:
        traced.append(program)
        return trace(program, *arguments)

    monkeypatch.setattr(Program, "_trace_epoch", noted)
    bench = JobBench(StudySpec("s", data.describe(), {}, folds=FOLDS), 0, str(tmp_path))
    found = bench.train_folds(job_of(bench, stack), Script())
    splits = [bench.split(which, stack) for which in search_splits(bench.spec)]
    assert len({split.rows[0] // 8 for _, split in splits}) > 1
    assert len(traced) == 1
    for fold, (split, _) in enumerate(splits):
        fresh, seed = put(split, math.inf, DeviceData), fold_seed(SEED, fold)
        program, _ = bench.program(stack, fresh, EPOCHS)
        bench.start(program, stack, seed, fresh, EPOCHS)
        training = Training(
            program, stack, seed, EPOCHS, untrained_loss=bench.untrained_loss(split)
        )
        alone = training.run(fresh, lambda measurement: None)
        assert found.payload["folds"][fold] == pytest.approx(alone.value, rel=1e-5)


def test_repeats_add_folds_of_other_divisions(tmp_path: Path) -> None:
    """Two repeats of three folds are six splits, and each repeat validates on every row once."""
    bench = bench_of(tmp_path, repeats=2)
    found = bench.train_folds(job_of(bench, SMALL), Script())
    assert len(found.payload["folds"]) == 6
    for repeat in range(2):
        folds = [SplitId(bench.spec.seed, FOLDS * repeat + k) for k in range(FOLDS)]
        assert sum(len(bench.split(fold, SMALL)[0].y_valid) for fold in folds) == 142
