"""A study of a user's own network, from launch to export, and wrong networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.support.own_networks import CODE
from tests.support.shell import SMALL, Launched, Shell, refused

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]


@pytest.fixture(scope="module")
def images(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> tuple[Launched, Path]:
    """A study of a convolutional network on 8 × 8 images, and the folder with its files."""
    folder = tmp_path_factory.mktemp("images")
    digits: Any = load_digits()
    np.savez(
        folder / "images.npz", x_train=digits.images[..., None].astype("u1"), y_train=digits.target
    )
    (folder / "network.py").write_text(CODE, "utf-8")
    done = shell.run(
        *("launch", "images.npz", "--network", "network.py:nested", "--study", "own-network"),
        *("--trials", "3", "--no-models", "--no-yardstick", *SMALL),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return Launched(shell, done), folder


def test_a_launch_tells_what_a_network_asks_for(images: tuple[Launched, Path]) -> None:
    """The launch lists the network's numbers with their conditions before it trains."""
    said = images[0].done.stderr
    assert "network network.py:nested: inputs 8 × 8 × 1; 6 numbers of its own" in said
    assert "network.filters_1: 2, 4, when blocks is 2 or 3" in said
    assert "cannot be self-normalizing" in said


def test_a_network_is_searched_confirmed_and_recommended(images: tuple[Launched, Path]) -> None:
    """Every stack but the default has the network's numbers; the recommendation is confirmed."""
    shell = images[0].shell
    rows = shell.json("trials", "own-network")
    assert all(row["outcome"] == "completed" for row in rows)
    found = shell.json("recommend", "own-network")
    assert found["validation"]["loss"]["n"] == 1
    assert 0.1 < found["test"]["accuracy"]["mean"] <= 1.0
    assert found["measured"]["parameters"] < 10_000


def test_a_trial_of_a_network_is_replayed_exactly(images: tuple[Launched, Path]) -> None:
    """`replay` builds the network from the study's record, and the curves agree."""
    assert images[0].shell.json("replay", "own-network", "1")["same"]


def test_an_exported_network_predicts_images(images: tuple[Launched, Path]) -> None:
    """The exported model takes images in their shape, and has the recorded accuracy."""
    launched, folder = images
    shell = launched.shell
    done = shell.within("export", "own-network", "--format", "keras", "-o", folder / "model.keras")
    assert done.returncode == 0, done.stderr
    found = shell.json("predict", folder / "model.keras", folder / "images.npz", "--evaluate")
    expected = shell.json("recommend", "own-network")["test"]["accuracy"]["mean"]
    assert found["metrics"]["accuracy"] == pytest.approx(expected, abs=0.1)


WRONG = {
    "network.py:nothing": "has no function nothing",
    "nowhere.py:build": "there is no file nowhere.py",
    "network.py": "expected FILE.py:FUNCTION",
    "broken.py:build": "broken.py, line 1",
    "wrong.py:build": "build (wrong.py, line 1) returned 3",
}


@pytest.mark.parametrize("flag", [*WRONG])
def test_a_wrong_network_is_refused_before_anything_is_created(
    images: tuple[Launched, Path], flag: str
) -> None:
    """A missing file or function, and one that returns no network: one line, exit 2, no study."""
    launched, folder = images
    (folder / "broken.py").write_text("def build(:\n", "utf-8")
    (folder / "wrong.py").write_text("def build(stack, inputs, outputs):\n    return 3\n", "utf-8")
    argv = ("launch", "images.npz", "--network", flag, "--study", "never-made")
    assert WRONG[flag] in refused(launched.shell.within(*argv, cwd=folder), 2)
    assert "never-made" not in {row["study"] for row in launched.shell.json("status")}
