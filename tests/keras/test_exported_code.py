"""The exported script runs, and is idiomatic code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.exported_scripts import (
    DATA,
    REFIT,
    SMALL,
    STACKS,
    arrays,
    executed,
    houses,
    spec_of,
    written,
)
from trainstack.search.data.load import load
from trainstack.spaces.references import REFERENCES
from trainstack.spaces.stack import Stack
from trainstack.workers.export.columns import levels_of
from trainstack.workers.export.keras_code import ensemble_script
from trainstack.workers.export.predict_script import predict_script
from trainstack.workers.export.preparation import standardised

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("one_trace")]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return arrays(tmp_path_factory.mktemp("small"))


# An activation is an ordinary layer, except RReLU, whose class is part of the script.
TRAINED = [n for n in STACKS if n == "activation rrelu" or not n.startswith(("activation", "100"))]
# What Keras's own layers and optimizers compute, with numbers that callbacks set between steps.
# The other scripts bring classes or optimizers of their own, which have to be traceable.
PLAIN = (
    *(name for name in STACKS if name.startswith(("schedule ", "optimizer "))),
    *("1cycle without momentum", "decay", "label smoothing", "normal biases"),
    *("clipped by value", "clipped by norm", "penalty, BN before"),
    *("moving average", "mean of the last epochs"),
)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", PLAIN)
def test_a_script_of_keras_own_parts_trains(
    name: str, small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every choice's script trains an epoch and prints finite test figures."""
    trains(name, small, capsys)


@pytest.mark.parametrize("name", [name for name in TRAINED if name not in PLAIN])
def test_the_script_trains(name: str, small: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Every choice's script compiles, trains an epoch and prints finite test figures."""
    trains(name, small, capsys)


def trains(name: str, small: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a stack's script for an epoch, and check what it prints."""
    names = executed(written(small, STACKS[name]))
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    words = capsys.readouterr().out.split()
    assert words[:2] == ["seed", "7:"]
    assert np.isfinite(float(words[4].rstrip(",")))
    assert 0 <= float(words[-1]) <= 1


@pytest.mark.parametrize("kind", ["regression", "table", "groups", "times"])
def test_the_script_trains_on_tables(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table's script encodes it as trainstack does, and prints the figures of both seeds."""
    dataset = DATA[kind](tmp_path)
    names = executed(written(dataset, Stack.of(**SMALL), epochs=2))
    ours, theirs = dataset.split(7), names["load_data"](7)
    for part, array in zip(("x_train", "y_train", "x_valid"), theirs, strict=False):
        np.testing.assert_array_equal(getattr(ours, part), array)
    names["sys"] = SimpleNamespace(argv=["train.py", "2"])
    names["main"]()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["seed 7", "seed 8"]
    if kind == "regression":
        assert float(lines[0].split()[-1]) < 3 * ours.y_scale


@pytest.mark.parametrize("transform", ["none", "log"])
def test_the_script_of_members_predicts_a_quantity(
    transform: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It trains on a quantity and its logarithm, and beats the mean."""
    houses(tmp_path)
    dataset = load(str(tmp_path / "houses.csv"), "price", transform=transform)
    stack = STACKS["members"].but(
        label_smoothing=0.0, dropout="none", decay="none", optimizer__learning_rate=0.02
    )
    names = executed(written(dataset, stack, epochs=20))
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    error = float(capsys.readouterr().out.split()[-1])
    assert error < dataset.split(7).y_scale


@pytest.mark.parametrize("kind", DATA)
def test_a_refits_script_trains_on_all_rows_but_the_test_part(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It encodes those rows as trainstack does, holds none out and prints the test figures."""
    dataset = DATA[kind](tmp_path)
    names = executed(written(dataset, Stack.of(**SMALL), epochs=3, refit=REFIT))
    ours, theirs = dataset.whole(), names["load_data"]()
    for part, array in zip(("x_train", "y_train", "x_test", "y_test"), theirs, strict=True):
        np.testing.assert_array_equal(getattr(ours, part), array)
    assert (names["EPOCHS"], names["TRAINED_EPOCHS"]) == (3, 2)
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    assert capsys.readouterr().out.startswith("seed 7: test loss ")


def test_a_refits_script_lowers_the_rate_as_the_confirmation_did(small: Any) -> None:
    """Performance scheduling's rate falls after the recorded epoch, by the stack's factor."""
    stack = Stack.of(schedule="performance", **SMALL)
    names = executed(written(small, stack, epochs=3, refit=REFIT))
    x_train, y_train, *_ = names["load_data"]()
    model = names["train"](x_train, y_train)
    expected = stack["optimizer.learning_rate"] * stack["schedule.factor"]
    assert float(model.optimizer.learning_rate) == pytest.approx(expected)


@pytest.mark.parametrize("kind", DATA)
def test_the_scripts_are_formatted_and_clean(kind: str, tmp_path: Path) -> None:
    """A formatter changes nothing in the scripts, and a linter finds nothing.

    The stack shapes the code below the loading of the data, which knows of the data's task alone:
    every stack is written for one data set of each task, and a few for the others.
    """
    dataset = DATA[kind](tmp_path)
    folder = tmp_path / "code"
    folder.mkdir()
    stacks = [*STACKS.values(), *REFERENCES.values()]
    if kind not in ("arrays", "regression"):
        stacks = [STACKS["everything"], STACKS["members, ntk"], STACKS["auxiliary"]]
    for number, stack in enumerate(stacks):
        (folder / f"train_{number}.py").write_text(written(dataset, stack), "utf-8")
        text = written(dataset, stack, refit=REFIT)
        (folder / f"refit_{number}.py").write_text(text, "utf-8")
    for start in range(0, len(stacks), 5):
        members = [(stack, REFIT, 1 + k) for k, stack in enumerate(stacks[start : start + 5])]
        text = ensemble_script(dataset, spec_of(dataset), members, {"loss": [0.5]})
        (folder / f"ensemble_{start}.py").write_text(text, "utf-8")
    if dataset.is_table:
        known = levels_of(dataset, dataset.split(0).encoder)
        (folder / "predict.py").write_text(predict_script(dataset, known), "utf-8")
    ruff = (sys.executable, "-m", "ruff")
    options = ("--isolated", "--line-length=100", str(folder))
    # E501: a file's path cannot be broken.
    rules = ("--select=E,W,F,I,N,UP,SIM,C4,RET,PIE", "--ignore=E501")
    for command in (("format", "--diff", *options), ("check", *rules, *options)):
        done = subprocess.run((*ruff, *command), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_script_sets_what_it_needs_of_keras(
    small: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the environment requests another backend and float64, the figures are the same."""
    text = written(small, STACKS["everything"])
    names = executed(text)
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    (tmp_path / "train.py").write_text(text, "utf-8")
    asked = json.dumps({"floatx": "float64", "epsilon": 0.1, "backend": "torch"})
    (tmp_path / "keras.json").write_text(asked, "utf-8")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "train.py")],
        env={**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == capsys.readouterr().out


def test_features_in_any_unit_are_standardised_in_the_exported_model() -> None:
    """Features of 1e-12, 1 and 1e20 have deviation 1 after the exported model's first layers."""
    rng = np.random.default_rng(0)
    unit = np.array([1e-12, 1.0, 1e20])
    x = (rng.normal(size=(500, 3)) * unit + 3 * unit).astype(np.float32)
    inputs = keras.Input((3,))
    mean, scale = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    model = keras.Model(inputs, standardised(inputs, mean, scale))
    np.testing.assert_allclose(model(x), (x - mean) / scale, rtol=1e-4, atol=1e-5)
