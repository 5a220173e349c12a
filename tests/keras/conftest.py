"""Fixtures of tests that train with the engine, or with Keras's `fit`."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from trainstack.workers.engine import structure
from trainstack.workers.engine.program import rewrite_graphs


@pytest.fixture(scope="session", autouse=True)
def graphs_of_a_trainer() -> None:
    """Leave graphs as they are traced, as a trainer on a CPU does."""
    rewrite_graphs(False)


@pytest.fixture
def bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train small networks at once although a test's few steps do not repay tracing a bundle."""
    monkeypatch.setattr(structure, "TRACING_SECONDS", 0.0)
    monkeypatch.setattr(structure, "MOST_PRODUCTS_ON_CPU", 200_000)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `fit` call Python in every step. The numbers are the same, and a few steps of a network
    that is used once cost less than tracing it."""
    compile_only = keras.Model.compile

    def compile_eagerly(model: keras.Model, *args: Any, **options: Any) -> None:
        compile_only(model, *args, **{**options, "run_eagerly": True})

    monkeypatch.setattr(keras.Model, "compile", compile_eagerly)


@pytest.fixture
def one_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `compile` build the optimizer too; `fit` would create its variables in its first step,
    which it then traces twice. The weights are the same."""
    compile_only = keras.Model.compile

    def compile_and_build(model: keras.Model, *args: Any, **options: Any) -> None:
        compile_only(model, *args, **options)
        model.optimizer.build(model.trainable_variables)

    monkeypatch.setattr(keras.Model, "compile", compile_and_build)
