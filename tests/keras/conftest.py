"""Fixtures of tests that train with Keras's `fit`."""

from __future__ import annotations

from typing import Any

import keras
import pytest


@pytest.fixture
def one_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `compile` build the optimizer too; `fit` would create its variables in its first step,
    which it then traces twice. The weights are the same."""
    compile_only = keras.Model.compile

    def compile_and_build(model: keras.Model, *args: Any, **options: Any) -> None:
        compile_only(model, *args, **options)
        model.optimizer.build(model.trainable_variables)

    monkeypatch.setattr(keras.Model, "compile", compile_and_build)
