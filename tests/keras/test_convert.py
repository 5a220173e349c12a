"""Exported models in the formats of other runtimes: the same answers for the same rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.support.exported_models import exported
from trainstack.spaces.errors import RequestError
from trainstack.workers.export import deployment
from trainstack.workers.tasks.convert import convert

pytestmark = pytest.mark.keras
ROWS = 60


def converted(file: Path, form: str, output: Path) -> str:
    """Write a model in another format; return the note for the user."""
    request = {"file": str(file), "format": form, "output": str(output)}
    (answer,) = convert(request)
    return answer["note"]


def loaded_model(file: Path) -> Any:
    """Return the Keras model of a file."""
    return keras.models.load_model(file)


def lite_answers(file: Path, rows: np.ndarray) -> np.ndarray:
    """Return the answers of a LiteRT file for its inputs [N, ...]."""
    return deployment.answers(file.read_bytes(), rows)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a table of numbers with gaps and texts, whose columns have odd names."""
    folder, rng = tmp_path_factory.mktemp("mixed"), np.random.default_rng(0)
    count = np.arange(ROWS)
    table = {
        "km per h": np.where(count % 7 == 0, np.nan, rng.normal(size=ROWS)),
        "km-per-h": rng.normal(size=ROWS),
        "2nd": [["a", "b", None][k % 3] for k in count],
        "kind": [["x", "y"][k % 2] for k in rng.permutation(count)],
    }
    pd.DataFrame(table).to_csv(folder / "t.csv", index=False)
    return exported(folder, str(folder / "t.csv"), "kind", hidden=8)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a table of numbers without gaps."""
    folder, rng = tmp_path_factory.mktemp("numbers"), np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(ROWS, 3)), columns=["b", "a", "price"])
    table.to_csv(folder / "t.csv", index=False)
    return exported(folder, str(folder / "t.csv"), "price", hidden=8)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of pictures."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(2)
    x, y = rng.normal(size=(ROWS, 4, 5)).astype(np.float32), np.arange(ROWS) % 3
    np.savez(folder / "d.npz", x_train=x, y_train=y)
    return exported(folder, str(folder / "d.npz"), None, hidden=8)


def test_a_saved_model_takes_raw_columns(mixed: Path, tmp_path: Path) -> None:
    """It gives the Keras model's answers for texts, gaps and unknown categories, by safe names."""
    note = converted(mixed, "savedmodel", tmp_path / "served")
    assert note == "takes the columns by name, with _ for other signs"
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    served = loaded.signatures["serving_default"]
    fast, steady, kind = [0.5, np.nan, 2.0], [1.0, -1.0, 3.0], ["a", "", "never seen"]
    columns = [tf.constant(fast), tf.constant(steady), tf.constant(kind)]
    named = dict(zip(("km_per_h", "km_per_h_", "column_2nd"), columns, strict=True))
    (answers,) = served(**named).values()
    model = loaded_model(mixed)
    own = dict(zip(("km per h", "km-per-h", "2nd"), columns, strict=True))
    np.testing.assert_allclose(answers, model(own), rtol=1e-6)


def test_a_saved_model_is_written_again(numbers: Path, images: Path, tmp_path: Path) -> None:
    """Another model takes the place of the one in a folder; other files there stay."""
    converted(images, "savedmodel", tmp_path)
    (tmp_path / "mine.txt").write_text("mine", "utf-8")
    converted(numbers, "savedmodel", tmp_path)
    served = tf.saved_model.load(str(tmp_path))
    rows = tf.constant([0.5, 2.0]), tf.constant([-1.0, 0.0])
    (answers,) = served.signatures["serving_default"](b=rows[0], a=rows[1]).values()
    expected = loaded_model(numbers)({"b": rows[0], "a": rows[1]})
    np.testing.assert_allclose(answers, expected, rtol=1e-6)
    assert (tmp_path / "mine.txt").read_text("utf-8") == "mine"


def test_a_file_for_devices_takes_what_is_made_of_the_columns(mixed: Path, tmp_path: Path) -> None:
    """LiteRT answers as the Keras model does, for the output of the layer that encodes columns."""
    note = converted(mixed, "litert", tmp_path / "m.tflite")
    model = loaded_model(mixed)
    columns = [tf.constant([0.5, np.nan]), tf.constant([1.0, -1.0]), tf.constant(["a", "other"])]
    encoded = np.asarray(model.get_layer("columns")(columns))
    assert note == f"takes {encoded.shape[1]} numbers per row: the output of layer `columns`"
    expected = model(dict(zip(("km per h", "km-per-h", "2nd"), columns, strict=True)))
    np.testing.assert_allclose(lite_answers(tmp_path / "m.tflite", encoded), expected, rtol=1e-5)


def test_plain_numbers_are_the_columns_themselves(numbers: Path, tmp_path: Path) -> None:
    """For a table of numbers without gaps LiteRT takes its columns in their order."""
    note = converted(numbers, "litert", tmp_path / "m.tflite")
    assert note == "takes 2 numbers per row: the columns in the order of the table"
    rows = np.array([[0.5, -1.0], [2.0, 0.0]], np.float32)
    expected = loaded_model(numbers)({"b": rows[:, 0], "a": rows[:, 1]})
    np.testing.assert_allclose(lite_answers(tmp_path / "m.tflite", rows), expected, rtol=1e-5)


def test_pictures_keep_their_shape(images: Path, tmp_path: Path) -> None:
    """Both formats take rows of arrays as the Keras model does."""
    rows = np.random.default_rng(3).normal(size=(5, 4, 5)).astype(np.float32)
    expected = np.asarray(loaded_model(images)(rows))
    assert converted(images, "litert", tmp_path / "m.tflite") == "takes rows [4, 5]"
    np.testing.assert_allclose(lite_answers(tmp_path / "m.tflite", rows), expected, rtol=1e-5)
    converted(images, "savedmodel", tmp_path / "served")
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(loaded.serve(rows), expected, rtol=1e-6)


def failing(model: keras.Model, precision: str) -> bytes:
    """Fail as the converter does for an operation that it lacks."""
    raise ValueError("no such operation")


def another(model: keras.Model, precision: str) -> bytes:
    """Convert a network with other weights."""
    for variable in model.weights:
        variable.assign(variable + 1.0)
    content = converted_by_lite(model, precision)
    for variable in model.weights:
        variable.assign(variable - 1.0)
    return content


converted_by_lite = deployment.converted


@pytest.mark.parametrize(
    ("converter", "words"), [(failing, "no such operation"), (another, "would not answer")]
)
def test_what_lite_cannot_express_is_refused(
    converter: Callable[[keras.Model, str], bytes],
    words: str,
    numbers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model that fails to convert, or answers otherwise afterwards, is not written."""
    monkeypatch.setattr(deployment, "converted", converter)
    with pytest.raises(RequestError, match=words):
        converted(numbers, "litert", tmp_path / "m.tflite")
    assert not (tmp_path / "m.tflite").exists()


def test_a_folder_that_cannot_be_written_is_refused(numbers: Path, tmp_path: Path) -> None:
    """A path below a file gives one line."""
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(RequestError, match="cannot write"):
        converted(numbers, "litert", tmp_path / "file" / "m.tflite")
