"""Effects of a condition on a run's split, weights and layers; and refused conditions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from trainstack.search.conditions import (
    AUTOENCODER,
    EARLIER,
    LATER,
    PLAIN,
    RELATED,
    UNIT,
    Condition,
)
from trainstack.search.data.load import load
from trainstack.search.folds import SplitId
from trainstack.search.records import CONFIRMATION, SEARCH
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.space import Space
from trainstack.workers.engine.conditions import UnmetError, changed
from trainstack.workers.messages import Job
from trainstack.workers.tasks.jobs import JobBench
from trainstack.workers.tasks.reuse import FROZEN_SHARE, Reuse

pytestmark = pytest.mark.keras
SEED, EPOCHS = 5, 4
STACK = CHAPTER_DEFAULT.but(units=[16, 12, 8], batch_size=16)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> JobBench:
    """A bench for an experiment on digits."""
    data = load("digits", None, "auto").describe()
    space = Space.named("chapter").to_json()
    spec = StudySpec("c", data, space, trials=0, epochs=EPOCHS, experiment=("C19",))
    return JobBench(
        spec, 0, str(tmp_path_factory.mktemp("artifacts"))
    )  # TensorFlow is imported already


def job(condition: Condition, **changes: Any) -> Job:
    """A confirmation run of a small stack."""
    made = Job(
        "t", CONFIRMATION, STACK, SEED, (SplitId(SEED),), EPOCHS, folder="c", condition=condition
    )
    return replace(made, **changes)


def trained(bench: JobBench, condition: Condition) -> tuple[Any, list[np.ndarray]]:
    """Train a run; return its result and its stored weights."""
    asked = job(condition)
    result = bench.train(asked, lambda measurement: None)
    assert result.outcome == "completed"
    with np.load(Path(str(bench.artifacts)) / result.artifacts["weights"]) as stored:
        return result, [stored[name] for name in stored.files]


def split_under(bench: JobBench, condition: Condition) -> Any:
    """The split of a seed under a condition."""
    return changed(bench.dataset.split(SEED), condition, 10, SEED)


def test_inputs_scaled_to_the_unit_range(bench: JobBench) -> None:
    """Every feature of the training part spans 0 to 1; rows and labels are unchanged."""
    before, after = bench.dataset.split(SEED), split_under(bench, Condition(inputs=UNIT))
    x = after.standardised().x_train
    varies = before.x_train.min(axis=0) < before.x_train.max(axis=0)
    assert x.min() == 0.0
    assert x.max() == 1.0
    assert x[:, varies].max(axis=0) == pytest.approx(1.0)
    assert (after.y_train == before.y_train).all()


def test_few_labels_are_even_and_the_rest_stays_as_it_was(bench: JobBench) -> None:
    """Fifty labels are five per class, of the training part only; statistics use all rows."""
    before, after = bench.dataset.split(SEED), split_under(bench, Condition(labels=50))
    assert np.bincount(after.y_train).tolist() == [5] * 10
    assert (after.x_valid == before.x_valid).all()
    assert (after.mean == before.mean).all()
    again = split_under(bench, Condition(labels=50, inputs=UNIT))
    assert (again.x_train == after.x_train).all()


def test_the_halves_of_the_classes_share_no_row(bench: JobBench) -> None:
    """Both halves of the classes together contain all rows, and labels begin at 0 in each."""
    halves = [split_under(bench, Condition(classes=half)) for half in (EARLIER, LATER)]
    whole = bench.dataset.split(SEED)
    assert sum(len(half.x_train) for half in halves) == len(whole.x_train)
    for half in halves:
        assert sorted(set(half.y_train)) == sorted(set(half.y_test)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (Condition(classes=LATER), "needs 4 classes, and this is 3 classes"),
        (Condition(labels=40), "40 labels are scarce among 160 training rows"),
    ],
)
def test_unsuitable_data_gives_a_reason(condition: Condition, reason: str) -> None:
    """Too few classes or rows give a reason, not an error."""
    with pytest.raises(UnmetError, match=reason):
        changed(load("wine", None, "auto").split(0), condition, 3, 0)


def test_a_wrong_initializer_is_the_same_draw_at_another_scale(bench: JobBench) -> None:
    """He's weights in a SELU network are LeCun's times the root of 2; the head is unchanged."""
    looked = {}
    for condition in (PLAIN, Condition(initializer="he_normal")):
        result, _ = trained(bench, condition)
        looked[condition] = result.payload["layers"]["start"][0]["deviation"]
    program, _ = bench.program(STACK, bench.split(SplitId(SEED))[1], EPOCHS)
    program.reset(STACK, SEED)
    right = program.weights()
    program.reset(STACK, SEED, initializer="he_normal")
    wrong = program.weights()
    for place in (0, 2, 4):
        assert wrong[place] == pytest.approx(right[place] * 2**0.5, rel=1e-5)
    assert (wrong[6] == right[6]).all()
    assert looked[Condition(initializer="he_normal")] > looked[PLAIN]


@pytest.mark.parametrize(
    "condition",
    [
        Condition(labels=100, pretrained=AUTOENCODER),
        Condition(classes=LATER, labels=50, pretrained=RELATED),
    ],
)
def test_reused_layers_are_frozen_first(bench: JobBench, condition: Condition) -> None:
    """A run starts with the pretrained lower layers used while the upper ones were trained."""
    asked = job(condition)
    _, data = bench.split(SplitId(SEED), condition)
    width = 5 if condition.classes == LATER else 10
    program, _ = bench.program(STACK, data, EPOCHS, 1, width)
    program.reset(STACK, SEED)
    fresh = program.weights()
    reuse = Reuse(bench)
    start = reuse.start(asked, program)
    lower = reuse._lower(asked, STACK)
    assert len(lower) == 4
    for place, weights in enumerate(lower):
        assert (start.weights[place] == weights).all()
    assert not np.allclose(fresh[0], lower[0])
    assert len(start.measurements) <= max(1, round(FROZEN_SHARE * EPOCHS))
    result, kept = trained(bench, condition)
    assert result.measurements[0] == replace(
        start.measurements[0], seconds=result.measurements[0].seconds
    )
    assert len(result.measurements) == EPOCHS
    assert [w.shape for w in kept] == [w.shape for w in fresh]


def test_an_autoencoders_layers_keep_more_of_the_inputs(bench: JobBench) -> None:
    """The inputs are reconstructed better from pretrained layers than from fresh ones."""
    condition = Condition(labels=100, pretrained=AUTOENCODER)
    x = bench.dataset.split(SEED).standardised().x_train
    program, _ = bench.program(STACK, bench.split(SplitId(SEED))[1], EPOCHS)
    program.reset(STACK, SEED)
    fresh = program.weights()
    pretrained = Reuse(bench)._lower(job(condition, epochs=20), STACK)

    def lost(weights: list[np.ndarray]) -> float:
        program.set_weights(weights)
        hidden = keras.Model(program.model.input, program.hidden[1])(x).numpy()
        return float(np.linalg.lstsq(np.c_[hidden, np.ones(len(x))], x, rcond=None)[1].sum())

    assert lost([*pretrained, *fresh[4:]]) < 0.9 * lost(fresh)


def test_bounds_are_not_measured_under_a_condition(bench: JobBench) -> None:
    """Runs under a condition complete when other claims need figures of the exported model."""
    spec, bench.spec = bench.spec, replace(bench.spec, constraints=("latency_ms<=1e+09",))
    try:
        result, _ = trained(bench, Condition(classes=LATER, labels=50))
    finally:
        bench.spec = spec
    assert "latency_ms" not in result.metrics


def test_a_condition_is_refused_where_no_experiment_asks(bench: JobBench) -> None:
    """Search trials, studies without experiment and layers that cannot be reused are refused."""
    condition = Condition(inputs=UNIT)
    with pytest.raises(ValueError, match="only experiments for claims"):
        bench.train(job(condition, kind=SEARCH), lambda measurement: None)
    spec, bench.spec = bench.spec, replace(bench.spec, experiment=())
    try:
        with pytest.raises(ValueError, match="only experiments for claims"):
            bench.train(job(condition), lambda measurement: None)
    finally:
        bench.spec = spec
    normalized = STACK.but(normalization="before")
    asked = job(Condition(labels=50, pretrained=AUTOENCODER), stack=normalized)
    with pytest.raises(ValueError, match="reused layers need"):
        bench.train(asked, lambda measurement: None)


def test_equal_stacks_under_conditions_share_no_file(bench: JobBench) -> None:
    """Runs that differ only in the condition have separate weights and checkpoints."""
    names = {trained(bench, c)[0].artifacts["weights"] for c in (PLAIN, Condition(inputs=UNIT))}
    assert len(names) == 2
    program, _ = bench.program(STACK, bench.split(SplitId(SEED))[1], EPOCHS)
    shelves = [bench._shelf(job(c), program) for c in (PLAIN, Condition(inputs=UNIT))]
    assert shelves[0].name != shelves[1].name
    assert shelves[0].identity != shelves[1].identity
