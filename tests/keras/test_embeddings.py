"""Embeddings of numbers: their formulas, their bins, what they learn, and their export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from trainstack.search.data.inputs import Inputs
from trainstack.search.data.load import load
from trainstack.search.folds import SplitId
from trainstack.search.spec import StudySpec
from trainstack.spaces.embeddings import EMBEDDINGS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import plain_model
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.embeddings import bins_of, periodic, piecewise
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.engine.training import Training
from trainstack.workers.export.model import export_model
from trainstack.workers.tasks.jobs import JobBench

pytestmark = pytest.mark.keras


def even(*shape: int) -> np.ndarray:
    """Return numbers that the references below were computed with."""
    return np.sin(np.arange(np.prod(shape)) + 1).reshape(shape).astype(np.float32)


def model_of(function: Any, features: int, **arguments: Any) -> tuple[Any, list[Any]]:
    """Return an embedding alone as a model, and its two layers."""
    inputs = keras.Input((features,))
    model = keras.Model(inputs, function(inputs, **arguments))
    return model, [x for x in model.layers if isinstance(x, keras.layers.EinsumDense)]


# pytabkit 1.8.0, with `even` as here:
# PLREmbeddingsLayerCosBias(None, even(3, 1, 5), 3 * even(3, 1, 5), even(3, 5, 2), even(3, 1, 2),
#     "linear", True).forward_cont(2 * even(4, 3))
PBLD = [
    [1.58808, -0.50195, -0.64292, -2.07246, 0.53406, 1.14785, 1.68294, 1.81859, 0.28224],
    [1.5264, 0.32972, 1.60736, 1.68957, -0.9641, -1.11085, -1.5136, -1.91785, -0.55883],
    [-0.56728, 0.02662, -1.41099, -2.25514, -1.44287, -1.34751, 1.31397, 1.97871, 0.82424],
    [-1.94386, -0.01833, 1.5437, 1.95412, -1.59312, 0.63227, -1.08804, -1.99998, -1.07315],
]


def test_periodic_is_pytabkits_pbld() -> None:
    """With given weights, outputs are those of RealMLP's implementation; others pass by."""
    model, (first, second) = model_of(periodic, 4, numbers=3, frequencies=5, sigma=1.0, width=3)
    first.set_weights([even(3, 5), 3 * even(3, 5)])
    second.set_weights([even(3, 5, 2), even(3, 2)])
    x = np.concatenate([2 * even(4, 3), np.full((4, 1), 7.0, np.float32)], axis=1)
    found = np.asarray(model(x))
    np.testing.assert_allclose(found[:, :-1], PBLD, atol=2e-5)
    assert (found[:, -1] == 7).all()


# Columns with six bins, four (of four values) and six.
ROWS = np.stack(
    [np.sin(np.arange(40)), np.arange(40) % 4, np.arange(40) ** 2 / 400], axis=1
).astype(np.float32)
POINTS = np.array([[-2, -1, -0.5], [0, 1.5, 1], [0.97, 2.25, 0.001], [1.5, 4, 5]], dtype=np.float32)
# The same package's bins = compute_bins(ROWS, n_bins=6); components: those of
# PiecewiseLinearEmbeddings(bins, 2, activation=False, version="A") for POINTS; outputs: the same
# with the weights even(3, 6, 2) and even(3, 2).
COMPONENTS = [
    [[-5.03837, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0], [-4.70588, 0, 0, 0, 0, 0]],
    [[1, 1, 0.85852, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0.06599, 0, 0]],
    [[1, 1, 1, 1, 1, 0.7598], [1, 1, 1, 0, 0, 0.25], [0.00941, 0, 0, 0, 0, 0]],
    [[1, 1, 1, 1, 1, 5.01588], [1, 1, 1, 0, 0, 2], [1, 1, 1, 1, 1, 2.03122]],
]
OUTPUTS = [
    [-3.39817, -3.67208, -0.27905, -1.74741, -0.33609, -3.86793],
    [1.0008, 0.82191, 1.21157, -0.0541, -0.8252, -0.19759],
    [1.17445, 0.82003, 0.03862, -1.03148, -0.96017, -0.27224],
    [-3.08159, -1.46367, -1.44226, -2.61624, -1.07239, -1.16799],
]


def test_piecewise_is_the_papers_implementation() -> None:
    """Components and outputs are those of rtdl_num_embeddings, outside the bins too."""
    model, (first, second) = model_of(piecewise, 3, numbers=3, bins=6, width=2)
    first.set_weights(bins_of(ROWS, 6))
    second.set_weights([even(3, 6, 2), even(3, 2)])
    clipped = keras.Model(model.input, second.input)
    np.testing.assert_allclose(clipped(POINTS), COMPONENTS, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model(POINTS), OUTPUTS, atol=3e-5)


def test_numbers_of_few_values_have_fewer_bins() -> None:
    """Two values give a linear function, one value none; repeated quantiles give one edge."""
    x = np.stack([np.arange(60) % 2, np.ones(60), np.arange(60) // 40 * np.arange(60)], axis=1)
    slopes, offsets = bins_of(x, 5)
    points = np.array([-1, 0, 0.25, 0.5, 1, 3])
    two = np.clip(points[:, None] * slopes[0] + offsets[0], [-np.inf, *[0] * 4], [*[1] * 4, np.inf])
    np.testing.assert_allclose(two.sum(axis=1), 2 * points, atol=1e-6)
    assert not slopes[1].any()
    assert not offsets[1].any()
    edges = np.unique(np.quantile(x[:, 2], np.linspace(0, 1, 6)))
    assert len(edges) == 3
    np.testing.assert_allclose(1 / slopes[2][[0, -1]], np.diff(edges), rtol=1e-6)
    np.testing.assert_allclose(
        -(offsets / np.where(slopes, slopes, 1))[2, [0, -1]], edges[:-1], atol=1e-6
    )


def program_of(stack: Stack, data: DeviceData, task: str, outputs: int) -> Program:
    """Return a program for data, ready to train."""
    structure = Structure(shaping_items(stack), data.layout, outputs, task, data.rows, False)
    program = Program(structure, stack)
    program.reset(stack, 0, data)
    return program


def test_bins_are_those_of_the_training_rows() -> None:
    """Neither validation rows nor padding change them, and training leaves them as they are."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 3)).astype(np.float32), np.zeros(90, np.float32)
    data = DeviceData(*(tf.constant(part) for part in (x[:60], y[:60], 9 + x[60:], y[60:])))
    data = replace(data, others=1).padded(64, 32)
    stack = Stack.of(units=[4], batch_size=16, embedding="piecewise", embedding__bins=4)
    program = program_of(stack, data, "regression", 1)
    Training(program, stack, 0, 2, 1e9).run(data, lambda measurement: None)
    edges = np.quantile(x[:60, :2], [0, 0.25, 0.5, 0.75, 1], axis=0).T
    slopes, offsets = program.weights()[:2]
    np.testing.assert_allclose(1 / slopes, np.diff(edges), rtol=1e-5)
    np.testing.assert_allclose(-offsets / slopes, edges[:, :-1], rtol=1e-5, atol=1e-6)


def test_a_sine_is_learnt_from_periodic_embeddings() -> None:
    """Of a target with six periods, a small network learns at least three times as much."""
    x = np.linspace(-1.7, 1.7, 512, dtype=np.float32)[:, None]
    y = np.sqrt(2).astype(np.float32) * np.sin(2 * np.pi * 6 / 3.4 * x[:, 0])
    data = DeviceData(*(tf.constant(part) for part in (x, y, x, y)))
    base = Stack.of(units=[32, 32], activation="relu", optimizer="adam", stopping="none")
    losses = {}
    for name, numbers in (("none", {}), ("periodic", {"embedding__sigma": 1.0})):
        stack = base.but(embedding=name, **numbers)
        program = program_of(stack, data, "regression", 1)
        result = Training(program, stack, 0, 30, 1e9).run(data, lambda measurement: None)
        losses[name] = result.measurements[-1].valid_loss
    assert losses["periodic"] < 0.3
    assert losses["none"] > 3 * losses["periodic"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> JobBench:
    """A table of two numbers, one with gaps, and categories."""
    folder, rng = tmp_path_factory.mktemp("table"), np.random.default_rng(2)
    frame = pd.DataFrame({"size": rng.normal(5, 2, 120), "age": rng.exponential(30, 120)})
    frame.loc[::7, "age"] = np.nan
    frame["colour"] = [("red", "green", "blue")[k % 3] for k in range(120)]
    frame["price"] = frame["size"] * 10 + (frame["colour"] == "red") * 5
    frame.to_csv(folder / "table.csv", index=False)
    spec = StudySpec("s", load(str(folder / "table.csv"), "price").describe(), {}, epochs=2)
    return JobBench(spec, 0, str(folder))


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_the_exported_model_embeds_the_numbers_only(
    name: str, bench: JobBench, tmp_path: Path
) -> None:
    """It takes a table's encoded features, loads as plain Keras, and predicts as the engine."""
    stack = Stack.of(units=[8], batch_size=16, embedding=name)
    split, data = bench.split(SplitId(3), stack)
    assert split.inputs == data.layout == bench.dataset.inputs == Inputs(2, 4, (3,))
    program, _ = bench.program(stack, data, 2)
    program.reset(stack, 3, data)
    Training(program, stack, 3, 2, 1e9).run(data, lambda measurement: None)
    program.settle()
    width = {"none": 6, "periodic": 2 * 4 + 4, "piecewise": 2 * 8 + 4}[name]
    assert program.kernels[0].shape == (width, 8)
    export_model(bench, stack, program, split).save(tmp_path / "model.keras")
    loaded: Any = keras.models.load_model(tmp_path / "model.keras")
    expected = split.predictions(program.outputs(split.prepare(split.x_test)))
    found = loaded(split.x_test.astype(np.float32))
    np.testing.assert_allclose(np.asarray(found)[:, 0], expected, rtol=1e-4)


def test_inputs_without_numbers_are_not_embedded() -> None:
    """A table of categories has a plain network, whatever the embedding."""
    for name in EMBEDDINGS:
        model = plain_model(Stack.of(units=[8], embedding=name), Inputs(0, 5), 2)
        assert model.count_params() == 5 * 8 + 8 + 8 * 2 + 2
