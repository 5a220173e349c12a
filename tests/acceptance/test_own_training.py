"""Networks with their own training, and with layers of a saved model, from launch to export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.exported_scripts import printed_by
from tests.support.own_networks import FLIPPING
from tests.support.shell import SMALL, Shell, refused

pytestmark = [
    *(pytest.mark.acceptance, pytest.mark.keras),
    pytest.mark.usefixtures("workers_here"),
]

CODE = (
    FLIPPING
    + """

def flipping(stack, inputs, outputs):
    x = keras.layers.Flatten()(stack.conv2d(stack.choice("filters", [2, 3]), 3)(inputs))
    return Flipping(inputs, stack.head(outputs)(x))


def taking(stack, inputs, outputs):
    x = stack.pretrained("old.keras", layer="flat", unfreeze_after=1)(inputs)
    return stack.head(outputs)(stack.dense(8)(x))


def missing(stack, inputs, outputs):
    return stack.head(outputs)(stack.pretrained("nowhere.keras")(inputs))
"""
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of three classes, a saved model of such images, and the networks."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = rng.integers(0, 90, (120, 6, 6, 1)) + 80 * (labels[:, None, None, None] == 1)
    np.savez(folder / "images.npz", x_train=images.astype("u1"), y_train=labels)
    (folder / "network.py").write_text(CODE, "utf-8")
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(2, 3, activation="relu")(inputs)
    x = keras.layers.Flatten(name="flat")(x)
    keras.Model(inputs, keras.layers.Dense(5)(x)).save(folder / "old.keras")
    return folder


def launched(shell: Shell, folder: Path, name: str) -> Any:
    """Launch a small study of a network in a folder."""
    return shell.within(
        *("launch", "images.npz", "--network", f"network.py:{name}", "--study", name),
        *("--trials", "6", "--no-models", "--no-yardstick", *SMALL),
        cwd=folder,
    )


def test_a_network_with_its_own_training_is_recommended_and_exported(
    shell: Shell, folder: Path
) -> None:
    """The launch and the recommendation say once that `fit` trains it; its model predicts."""
    done = launched(shell, folder, "flipping")
    assert done.returncode == 0, done.stderr
    said = "It has a train_step of its own, so Keras's fit trains it"
    assert done.stderr.count(said) == 1
    assert {row["outcome"] for row in shell.json("trials", "flipping")} <= {"completed", "pruned"}
    found = shell.json("recommend", "flipping")
    assert sum("train_step" in warning for warning in found["warnings"]) == 1
    assert shell.json("replay", "flipping", "1")["same"]
    path = folder / "flipping.keras"
    assert shell.within("export", "flipping", "--format", "keras", "-o", path).returncode == 0
    predicted = shell.json("predict", path, folder / "images.npz", "--evaluate")
    assert 0.0 <= predicted["metrics"]["accuracy"] <= 1.0
    assert "accuracy" in ran(shell, folder, "flipping")


def test_layers_of_a_saved_model_are_an_axis_of_the_study(shell: Shell, folder: Path) -> None:
    """The launch lists the choices, stacks hold them, and the exported model predicts."""
    done = launched(shell, folder, "taking")
    assert done.returncode == 0, done.stderr
    assert "network.pretrained: frozen, thawed, fresh" in done.stderr
    assert "network.pretrained_frozen: 1, when pretrained is thawed" in done.stderr
    stacks = [row["stack"] for row in shell.json("trials", "taking")]
    assert all(row["outcome"] != "failed" for row in shell.json("trials", "taking"))
    for stack in stacks:
        thawed = stack.get("network.pretrained") == "thawed"
        assert ("network.pretrained_rate_factor" in stack) == thawed
    reasons = shell.json("recommend", "taking")["reasons"]
    assert any("no stack of it can be self-normalizing" in reason for reason in reasons)
    path = folder / "taking.keras"
    assert shell.within("export", "taking", "--format", "keras", "-o", path).returncode == 0
    assert shell.json("predict", path, folder / "images.npz", "--evaluate")["metrics"]
    assert "accuracy" in ran(shell, folder, "taking")
    beside = folder / "taking/train.saved.keras"
    assert beside.read_bytes() == (folder / "old.keras").read_bytes()


def ran(shell: Shell, folder: Path, study: str) -> str:
    """Export a study's program into a folder of its own and run it; return what it prints."""
    program = folder / study / "train.py"
    program.parent.mkdir()
    assert shell.within("export", study, "--format", "python", "-o", program).returncode == 0
    return printed_by(program)


def test_a_missing_saved_model_is_refused_with_the_users_line(shell: Shell, folder: Path) -> None:
    """One line with the file, the user's own line and what was expected; exit 2; no study."""
    line = refused(launched(shell, folder, "missing"), 2)
    assert "nowhere.keras cannot be read" in line
    assert "network.py, line 27" in line
    assert "missing" not in {row["study"] for row in shell.json("status")}
