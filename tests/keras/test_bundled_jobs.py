"""Confirmation runs that a trainer trains at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainstack.search.conditions import AUTOENCODER, Condition
from trainstack.search.data.load import load
from trainstack.search.folds import SplitId
from trainstack.search.records import CONFIRMATION, SEARCH, Measurement, Result
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.space import Space
from trainstack.workers.messages import Job
from trainstack.workers.tasks.jobs import JobBench

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("bundles")]
EPOCHS = 5
STACK = CHAPTER_DEFAULT.but(units=[16, 12, 8], batch_size=32, stopping__share=0.2)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> JobBench:
    """A bench for digits, whose studies are decided by another metric than the loss."""
    data = load("digits", None, "auto").describe()
    space = Space.named("chapter").to_json()
    spec = StudySpec(
        *("c", data, space), trials=0, epochs=EPOCHS, experiment=("C19",), metric="f1_macro"
    )
    return JobBench(spec, 0, str(tmp_path_factory.mktemp("artifacts")))


def job(seed: int, **changes: Any) -> Job:
    """Return a confirmation run."""
    made = Job(f"t{seed}", CONFIRMATION, STACK, seed, (SplitId(seed),), EPOCHS, folder="c")
    return replace(made, **changes)


def go_on(*_: object) -> None:
    """A judge that ends nothing."""


def kept(bench: JobBench, result: Result) -> list[np.ndarray]:
    """Return the weights that a run has kept."""
    with np.load(Path(str(bench.artifacts)) / result.artifacts["weights"]) as stored:
        return [stored[name] for name in stored.files]


def timeless(result: Result) -> dict[str, float]:
    """Return a result's metrics without measured times."""
    return {name: value for name, value in result.metrics.items() if "latency" not in name}


def test_runs_trained_at_once_have_the_results_of_each_alone(bench: JobBench) -> None:
    """Other seeds, splits and rates: curves, metrics, layers and kept weights agree."""
    jobs = [
        job(seed, stack=STACK.but(optimizer__learning_rate=0.001 * (seed + 1)))
        for seed in (0, 1, 2)
    ]
    told: list[tuple[str, int]] = []

    def judge(asked: Job, measurement: Measurement) -> None:
        told.append((asked.token, measurement.epoch))

    together = bench.train_bundle(jobs, judge)
    weights = [kept(bench, result) for result in together]
    for asked, result, arrays in zip(jobs, together, weights, strict=True):
        alone = bench.train(asked, go_on)
        assert (result.outcome, result.best_epoch) == (alone.outcome, alone.best_epoch)
        assert timeless(result) == pytest.approx(timeless(alone), rel=1e-3)
        assert result.value == pytest.approx(alone.value, rel=1e-3)
        for a, b in zip(arrays, kept(bench, alone), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
        mine = result.payload["layers"]
        assert mine.keys() == alone.payload["layers"].keys() == {"start", "end"}
        assert mine["start"][0] == pytest.approx(alone.payload["layers"]["start"][0], rel=1e-3)
        assert (asked.token, 1) in told


def test_a_run_ends_by_its_judge_alone(bench: JobBench) -> None:
    """An outcome for one run ends that run; the others go on."""
    jobs = [job(seed) for seed in (3, 4)]
    results = bench.train_bundle(
        jobs, lambda asked, m: "pruned" if asked.token == "t3" and m.epoch == 1 else None
    )
    assert [result.outcome for result in results] == ["pruned", "completed"]


def test_runs_under_a_condition_are_trained_at_once(bench: JobBench) -> None:
    """Few labels reach every network of a bundle."""
    jobs = [job(seed, condition=Condition(labels=50)) for seed in (5, 6)]
    for asked, result in zip(jobs, bench.train_bundle(jobs, go_on), strict=True):
        assert result.value == pytest.approx(bench.train(asked, go_on).value, rel=1e-3)


def test_what_can_be_trained_at_once(bench: JobBench) -> None:
    """There is room beside a confirmation run of a small stack, and beside nothing else."""
    assert bench.room(job(0)) > 1
    assert bench.room(job(0, kind=SEARCH)) == 0
    assert bench.room(job(0, condition=Condition(pretrained=AUTOENCODER))) == 0
    assert bench.room(job(0, stack=STACK.but(units=[300, 100]))) == 0
