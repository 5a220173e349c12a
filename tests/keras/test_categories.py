"""Embeddings of categories: what they compute and learn, what they are given, their export."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
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
from trainstack.spaces.categories import CATEGORIES
from trainstack.spaces.preparations import PREPARATIONS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import plain_model
from trainstack.workers.engine.category_embeddings import embedded_categories
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.streaming import StreamedData, put
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.engine.training import Training
from trainstack.workers.export.keras_code import script
from trainstack.workers.export.model import export_model
from trainstack.workers.tasks.jobs import JobBench

pytestmark = pytest.mark.keras

ROWS, TOWNS = 480, 40
STACK = Stack.of(
    units=[16], batch_size=32, categories="embedded", optimizer="adam", schedule="constant"
).but(optimizer__learning_rate=0.01, stopping="none")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> JobBench:
    """A table whose target is a number of each town, with a number with gaps and a colour."""
    folder, rng = tmp_path_factory.mktemp("table"), np.random.default_rng(0)
    town = rng.permutation(np.arange(ROWS) % TOWNS)
    frame = pd.DataFrame({"size": rng.normal(5, 2, ROWS)})
    frame["colour"] = [("red", "green", "blue")[k % 3] for k in range(ROWS)]
    frame["town"] = [f"town {k}" for k in town]
    frame["price"] = rng.normal(size=TOWNS)[town] * 10 + frame["size"] + rng.normal(size=ROWS)
    frame.loc[::7, "size"] = np.nan
    frame.to_csv(folder / "table.csv", index=False)
    spec = StudySpec("s", load(str(folder / "table.csv"), "price").describe(), {}, epochs=20)
    return JobBench(spec, 0, str(folder))


def trained(bench: JobBench, stack: Stack, epochs: int = 2) -> tuple[Any, Program, float]:
    """Train a stack; return the split, the program and the last validation loss."""
    split, data = bench.split(SplitId(3), stack)
    program, _ = bench.program(stack, data, epochs)
    program.reset(stack, 3, data)
    result = Training(program, stack, 3, epochs, 1e9).run(data, lambda measurement: None)
    program.settle()
    return split, program, result.measurements[-1].valid_loss


def one_hot(codes: np.ndarray, levels: int) -> np.ndarray:
    """Return codes as one-hot rows; -1 is unknown."""
    return (codes[:, None] == np.arange(levels)).astype(np.float32)


def test_embedded_categories_are_keras_embeddings() -> None:
    """Each column gives its category's row of `keras.layers.Embedding` in place of its features; an
    unknown category gives zeros, and other features pass by."""
    rng = np.random.default_rng(1)
    codes, others = rng.integers(0, 5, (7, 2)), rng.normal(size=(7, 4)).astype(np.float32)
    codes[2, 0] = -1
    blocks = [one_hot(codes[:, k], 5) for k in range(2)]
    x = np.concatenate([others[:, :2], blocks[0], others[:, 2:3], blocks[1], others[:, 3:]], axis=1)
    inputs = keras.Input((14,))
    outputs = embedded_categories(inputs, columns=[(2, 7), (8, 13)], size=3)
    model = keras.Model(inputs, outputs)
    theirs = [keras.layers.Embedding(5, 3, weights=[rng.normal(size=(5, 3))]) for _ in range(2)]
    found = [np.array(layer(np.maximum(codes[:, k], 0))) for k, layer in enumerate(theirs)]
    found[0][2] = 0.0
    model.set_weights([np.asarray(layer.embeddings) for layer in theirs])
    expected = [others[:, :2], found[0], others[:, 2:3], found[1], others[:, 3:]]
    np.testing.assert_allclose(model(x), np.concatenate(expected, axis=1), rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_they_train_as_keras_embeddings_in_fit(optimizer: str) -> None:
    """A network of `keras.layers.Embedding` that is given the categories' numbers has the same
    weights after an epoch of `fit`."""
    rng = np.random.default_rng(2)
    # Every category once per batch: Keras's Adam squares the gradients of a repeated row in turn.
    codes = np.concatenate([rng.permutation(32) for _ in range(4)])
    numbers = rng.normal(size=(128, 2)).astype(np.float32)
    y = rng.normal(size=128).astype(np.float32)
    x = np.concatenate([numbers, one_hot(codes, 32)], axis=1)
    data = DeviceData(*map(tf.constant, (x, y, x, y)), others=32, categories=(32,))
    stack = STACK.but(optimizer=optimizer, optimizer__learning_rate=0.01, units=[6])
    items = shaping_items(stack)
    program = Program(Structure(items, data.layout, 1, "regression", data.rows, False), stack)
    program.reset(stack, 5, data)
    start = program.weights()
    order = np.arange(128, dtype=np.int32).reshape(4, 32)
    program.epoch(stack, data, order, np.full(4, 0.01, "f4"), None, key=1)

    given = [keras.Input((2,)), keras.Input((), dtype="int32")]
    rows = keras.layers.Embedding(32, 8)(given[1])
    hidden = keras.layers.Dense(6, "selu")(keras.layers.Concatenate()([given[0], rows]))
    model = keras.Model(given, keras.layers.Dense(1)(hidden))
    model.set_weights(start)
    kind = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[optimizer]
    model.compile(kind(0.01), "mean_squared_error")
    model.fit([numbers, codes], y, batch_size=32, shuffle=False, verbose=0)
    for ours, theirs in zip(program.weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert not np.allclose(start[0], program.weights()[0])


def test_a_column_of_forty_categories_is_learnt(bench: JobBench) -> None:
    """From twelve rows of each town most of the target's variance is explained, and the
    embedding has changed from its standard normal start."""
    split, program, loss = trained(bench, STACK, 20)
    assert split.inputs == Inputs(1, 44, (3, TOWNS))
    fresh, _ = bench.program(STACK, bench.split(SplitId(3), STACK)[1], 20)
    learnt = program.weights()[0]
    fresh.reset(STACK, 3)
    start = fresh.weights()[0]
    assert start.shape == learnt.shape == (TOWNS, 8)
    assert abs(start.mean()) < 0.2
    assert start.std() == pytest.approx(1.0, abs=0.15)
    assert np.abs(learnt - start).mean() > 0.02
    assert loss < 0.4
    fresh.reset(STACK, 4)
    assert not np.allclose(fresh.weights()[0], start)


@pytest.mark.parametrize("name", PREPARATIONS)
def test_embedded_categories_stay_0_and_1(name: str, bench: JobBench, tmp_path: Path) -> None:
    """Other features are prepared as ever; the exported model takes the encoded features, an
    unknown category among them, and predicts as the engine."""
    stack = STACK.but(preparation=name)
    plain, _ = bench.split(SplitId(3), stack.but(categories="one_hot"))
    split, program, _ = trained(bench, stack)
    x = split.x_test.copy()
    x[0, 5:] = 0.0
    prepared = split.prepare(x)
    np.testing.assert_array_equal(prepared[:, 5:], x[:, 5:])
    np.testing.assert_array_equal(prepared[:, :5], plain.prepare(x)[:, :5])
    export_model(bench, stack, program, split).save(tmp_path / "model.keras")
    loaded: Any = keras.models.load_model(tmp_path / "model.keras")
    expected = split.predictions(program.outputs(prepared))
    np.testing.assert_allclose(np.asarray(loaded(x))[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_streamed_categories_train_as_resident_ones(bench: JobBench) -> None:
    """Data that stays on the host gives the same weights."""
    split, _ = bench.split(SplitId(3), STACK)
    found = []
    for room in (1 << 30, 0):
        data = put(split, room, DeviceData)
        assert isinstance(data, DeviceData if room else StreamedData)
        program, _ = bench.program(STACK, data, 2)
        program.reset(STACK, 3, data)
        Training(program, STACK, 3, 2, 1e9).run(data, lambda measurement: None)
        found.append(program.weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_an_embedding_has_a_rate_of_its_own(bench: JobBench) -> None:
    """With a factor of 0 it keeps its values, and the dense layers train."""
    stack = STACK.but(categories__rate_factor=0.0)
    _, program, _ = trained(bench, stack)
    after = program.weights()
    program.reset(stack, 3)
    same = [np.array_equal(a, b) for a, b in zip(after, program.weights(), strict=True)]
    assert same == [True, False, False, False, False]


@pytest.mark.parametrize("name", CATEGORIES)
def test_inputs_without_many_categories_are_one_hot(name: str) -> None:
    """Arrays and columns of few categories have a plain network, whatever the choice."""
    for inputs in (Inputs(5), Inputs(1, 4, (4,))):
        model = plain_model(Stack.of(units=[8], categories=name), inputs, 2)
        assert model.count_params() == 5 * 8 + 8 + 8 * 2 + 2


SCRIPTS = {
    "alone": STACK,
    "with numbers, decay and rates": STACK.but(
        **{"embedding": "periodic", "decay": "decoupled", "bias_rate": 0.1},
        **{"preparation": "robust_clip", "input_scale": "learned", "calibration": "weights"},
    ),
    "members": STACK.but(members="shared", members__count=3, preparation="quantile"),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_embeds_and_trains(
    name: str, bench: JobBench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its inputs and its network are the engine's, only dense kernels decay, and it learns."""
    stack = SCRIPTS[name]
    text = script(bench.dataset, bench.spec, stack, [3], {"loss": [0.5]})
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "train.py", "exec"), names)
    split, _ = bench.split(SplitId(3), stack)
    kept: list[Any] = []
    train = names["train"]
    names["train"] = lambda *given: kept.extend([*given, train(*given)]) or kept[-1]
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    np.testing.assert_allclose(kept[0], split.prepared().x_train, rtol=1e-5, atol=1e-6)
    assert float(capsys.readouterr().out.split()[4].rstrip(",")) < 0.6
    model, ours = kept[-1], plain_model(stack, split.inputs, 1)
    assert [w.shape for w in model.weights] == [w.shape for w in ours.weights]
    ours.set_weights(model.get_weights())
    theirs = model(kept[0][:9], training=False)
    expected = np.reshape(ours(kept[0][:9], training=False), (9, -1)).mean(axis=1)
    np.testing.assert_allclose(np.reshape(theirs, (9, -1)).mean(axis=1), expected, rtol=1e-4)
    if stack["decay"] != "none":
        decays = model.optimizer._use_weight_decay
        decayed = [v.path for v in model.trainable_variables if decays(v)]
        assert [path.split("_")[0].split("/")[0] for path in decayed] == ["dense", "dense"]
