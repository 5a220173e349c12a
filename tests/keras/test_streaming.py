"""Data too large for the device gives the same training: batches, order, weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from trainstack.search.data.load import load
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.streaming import StreamedData, put, resident_bytes
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.engine.training import Training

pytestmark = pytest.mark.keras


def trained(data: DeviceData | StreamedData, stack: Stack, task: str, outputs: int) -> tuple:
    """Train three epochs; return curve and weights."""
    structure = Structure(
        shaping_items(stack), data.layout, outputs, task, data.rows, compiled=False
    )
    program = Program(structure, stack)
    program.reset(stack, seed=4, data=data)
    result = Training(program, stack, 4, 3, untrained_loss=2.3).run(data, lambda m: None)
    return [m.valid_loss for m in result.measurements], program.weights()


@pytest.mark.parametrize(
    ("name", "task", "outputs", "embedding"),
    [
        ("digits", "classification", 10, "none"),
        ("diabetes", "regression", 1, "none"),
        ("diabetes", "regression", 1, "piecewise"),
    ],
)
def test_streamed_training_equals_resident_training(
    name: str, task: str, outputs: int, embedding: str
) -> None:
    """Streaming in runs of a few steps, with dropout, gives the weights of resident training."""
    split = load(name).split(0)
    stack = Stack.of(
        units=[32, 16], activation="relu", normalization="before", dropout="all", batch_size=32
    ).but(embedding=embedding)
    resident = put(split, 1 << 30, DeviceData)
    streamed = put(split, 0, DeviceData)
    assert isinstance(resident, DeviceData)
    assert isinstance(streamed, StreamedData)
    few_steps = 3 * 32 * 4 * streamed.features
    streamed = StreamedData(**{**vars(streamed), "run_bytes": few_steps})
    curve, weights = trained(resident, stack, task, outputs)
    again, streamed_weights = trained(streamed, stack, task, outputs)
    assert again == pytest.approx(curve, rel=1e-5)
    for a, b in zip(weights, streamed_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_streamed_rows_keep_their_weights() -> None:
    """With weights in both parts, streaming gives the losses and weights of resident training."""
    split, rng = load("diabetes").split(0), np.random.default_rng(6)
    split = replace(
        split,
        w_train=rng.uniform(0.1, 4, len(split.y_train)).astype("float32"),
        w_valid=rng.uniform(0.1, 4, len(split.y_valid)).astype("float32"),
    )
    stack = Stack.of(units=[16], activation="relu", batch_size=32)
    streamed = put(split, 0, DeviceData)
    assert isinstance(streamed, StreamedData)
    streamed = replace(streamed, run_bytes=3 * 32 * 4 * streamed.features)
    curve, weights = trained(put(split, 1 << 30, DeviceData), stack, "regression", 1)
    again, streamed_weights = trained(streamed, stack, "regression", 1)
    unweighted, _ = trained(
        put(replace(split, w_train=None, w_valid=None), 0, DeviceData), stack, "regression", 1
    )
    assert again == pytest.approx(curve, rel=1e-5)
    assert unweighted != pytest.approx(curve, rel=1e-2)
    for a, b in zip(weights, streamed_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_runs_hold_every_batch_once_in_order() -> None:
    """The concatenated runs of an epoch are its rows, batch by batch."""
    x = np.arange(40, dtype=np.float32).reshape(20, 2)
    y = tf.range(20)
    data = StreamedData(x, y, x, y, lambda part: part.astype(np.float32), run_bytes=4 * 2 * 4 * 2)
    order = np.random.default_rng(0).permutation(20).reshape(5, 4).astype(np.int32)
    parts = list(data.runs(order))
    assert [part for part, *_ in parts] == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert np.concatenate([y for _, _, y, _ in parts]).tolist() == order.ravel().tolist()
    assert (np.concatenate([x for _, x, _, _ in parts]) == x[order.ravel()]).all()


def test_the_share_of_memory_follows_the_limit_and_the_threads() -> None:
    """Data may take half of the limit; without one, half the cores get half the share of all."""
    assert resident_bytes("cpu", 1, memory_mb=1000) == 500 << 20
    import psutil

    cores = psutil.cpu_count()
    assert resident_bytes("cpu", 0) == resident_bytes("cpu", cores)
    assert resident_bytes("cpu", 1) == pytest.approx(resident_bytes("cpu", 0) / cores, rel=1e-6)
