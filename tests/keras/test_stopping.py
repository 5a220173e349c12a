"""When training ends early or diverges, and the same rule in exported code."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainstack.search.data.load import load
from trainstack.search.records import Result
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.spaces.stopping import stopping_of
from trainstack.workers.engine.program import EpochResult
from trainstack.workers.engine.training import Training
from trainstack.workers.export.keras_code import script

pytestmark = pytest.mark.keras

HOT = Stack.of(schedule="piecewise", batch_size=10, stopping__share=0.1)
CONSTANT = Stack.of(schedule="constant", batch_size=10, stopping__share=0.1)


class Canned:
    """A program whose epochs give prescribed losses; its weights are the epoch's number."""

    used = True

    def __init__(self, losses: list[float]) -> None:
        self.losses, self.trained = losses, 0

    def completed(self, stack: Stack) -> Stack:
        return stack

    def epoch(self, *_: Any) -> EpochResult:
        self.trained += 1
        loss = self.losses[min(self.trained, len(self.losses)) - 1]
        return EpochResult(loss, loss, 0.0)

    def weights(self) -> list[np.ndarray]:
        return [np.array(self.trained)]

    def measured(self) -> list[np.ndarray]:
        return self.weights()

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.trained = int(weights[0])


def run(stack: Stack, losses: list[float], epochs: int = 40) -> tuple[Result, Canned]:
    """Train on prescribed losses, the last of which repeats."""
    program: Any = Canned(losses)
    data: Any = SimpleNamespace(rows=(100, 20))
    training = Training(program, stack, 0, epochs, untrained_loss=1.0)
    return training.run(data, lambda measured: None), program


def test_a_hot_schedule_trains_on() -> None:
    """At a high rate thirty epochs without improvement end nothing; at a low rate four do."""
    result, program = run(HOT, [0.5, 0.9])
    assert len(result.measurements) == 30 + 4
    assert (result.best_epoch, program.trained) == (1, 1), "the best epoch is restored"


def test_a_constant_rate_stops_by_patience() -> None:
    """At a constant rate a tenth of the plan without improvement ends the run."""
    result, _ = run(CONSTANT, [0.5, 0.9])
    assert len(result.measurements) == 1 + 4


def test_a_short_plan_is_trained_to_its_own_end() -> None:
    """A stack that plans a quarter of the maximum epochs trains exactly that many."""
    result, _ = run(CONSTANT.but(plan_fraction=0.25), [1 / k for k in range(1, 41)])
    assert len(result.measurements) == 10


def test_a_slow_starter_has_not_diverged() -> None:
    """A high but falling loss does not end the run."""
    result, _ = run(CONSTANT, [40.0, 30.0, 20.0, 5.0, 0.3])
    assert (result.outcome, result.value) == ("completed", 0.3)


@given(
    start=st.floats(0.1, 1e6),
    factor=st.floats(0.3, 0.99),
    stack=st.sampled_from([HOT, CONSTANT]),
)
def test_no_falling_loss_diverges(start: float, factor: float, stack: Stack) -> None:
    """A run whose loss falls to a low value is completed, however high it began."""
    falling = [max(0.5 * 0.999**k, start * factor**k) for k in range(40)]
    falling[-1] = min(falling[-1], 0.4)
    result, _ = run(stack, falling)
    assert (result.outcome, result.value) == ("completed", falling[-1])


def test_a_high_loss_that_does_not_fall_has_diverged() -> None:
    """A loss far above an untrained network's that no longer falls ends the run."""
    result, _ = run(CONSTANT, [40.0, 30.0, 31.0, 0.1])
    assert (result.outcome, len(result.measurements)) == ("diverged", 2)


def test_a_high_loss_under_a_high_rate_is_not_the_end() -> None:
    """A high loss does not end the run before the schedule has lowered its rate."""
    result, _ = run(HOT, [40.0, 50.0, 45.0, 0.2])
    assert (result.outcome, result.value) == ("completed", 0.2)


def test_never_below_the_limit_is_divergence() -> None:
    """A run that ends far above an untrained network's loss has diverged, even if falling."""
    result, _ = run(HOT, [40.0 - 0.1 * k for k in range(40)])
    assert result.outcome == "diverged"


def test_not_finite_is_the_end_at_once() -> None:
    """A loss that is not finite ends the run in its epoch, even at a high rate."""
    result, _ = run(HOT, [0.5, math.nan])
    assert (result.outcome, len(result.measurements)) == ("diverged", 1)


@pytest.mark.parametrize("best", [1, 20, 33, 40])
def test_the_exported_callback_stops_in_the_same_epoch(best: int) -> None:
    """The exported script's callback ends after the same epoch as the trial."""
    losses = [1.0 - 0.01 * min(k, 2 * best - k) for k in range(1, 61)]
    rule = stopping_of(HOT, 60)
    dataset = load("wine")
    spec = StudySpec("s", dataset.describe(), {}, epochs=60)
    scope: dict[str, Any] = {"__name__": "script"}
    exec(script(dataset, spec, HOT, [], {}), scope)
    callback = scope["Stopping"]("val_loss", patience=rule.patience_epochs, mode="min")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    callback.set_model(model)
    callback.on_train_begin()
    model.stop_training = False  # as `fit` does
    ended = 60
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        if model.stop_training:
            ended = epoch + 1
            break
    result, _ = run(HOT, losses, epochs=60)
    assert len(result.measurements) == ended
