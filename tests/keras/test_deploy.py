"""Deployed models: the same predictions as the exported one, in fewer bytes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from trainstack.workers.export.deployment import answers, converted, latency_ms, lite

pytestmark = pytest.mark.keras


def exported() -> keras.Model:
    """A small network with normalization, as exported."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((20,))
    x = keras.layers.Dense(64, use_bias=False)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("selu")(x)
    return keras.Model(inputs, keras.layers.Softmax()(keras.layers.Dense(5)(x)))


@pytest.mark.parametrize(
    ("precision", "near"), [("float32", 1e-5), ("float16", 5e-3), ("int8", 5e-2)]
)
def test_converted_models_answer_alike(precision: str, near: float) -> None:
    """Each precision gives Keras's probabilities within what its rounding allows."""
    model, x = exported(), np.random.default_rng(1).normal(size=(70, 20)).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    assert np.abs(answers(converted(model, precision), x) - expected).max() < near


def test_all_precisions_are_measured_and_lower_ones_are_smaller() -> None:
    """Each precision has a row with its size, its latencies and the judge's figures."""
    x = np.random.default_rng(2).normal(size=(10, 20)).astype(np.float32)
    rows = lite(exported(), x, lambda outputs: {"rows": float(len(outputs))})
    assert [row["precision"] for row in rows] == ["float32", "float16", "int8"]
    assert rows[0]["bytes"] > rows[1]["bytes"] > rows[2]["bytes"]
    for row in rows:
        assert row["rows"] == 10.0
        assert row["latency_ms"] > 0.0
        assert row["latency_ms_64"] > 0.0


def test_what_cannot_be_measured_has_a_cause() -> None:
    """If a judge or converter fails, the row has its cause and no figure."""

    def broken(outputs: np.ndarray) -> dict[str, float]:
        raise ValueError("no such figure")

    (row, *_) = lite(exported(), np.zeros((1, 20), np.float32), broken)
    assert row == {"precision": "float32", "cause": "ValueError: no such figure"}


def test_latency_is_of_the_asked_batch() -> None:
    """A model is timed on the requested number of rows."""
    seen = []

    class Spy(keras.layers.Layer):
        """Records the rows it receives."""

        def call(self, x: object) -> object:
            seen.append(x.shape[0])  # type: ignore[attr-defined]
            return x

    inputs = keras.Input((3,))
    model = keras.Model(inputs, Spy()(inputs))
    assert latency_ms(model, 64) > 0.0
    assert seen[-1] == 64
