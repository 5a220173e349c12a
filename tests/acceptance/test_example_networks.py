"""The networks of `docs/examples`: each launched, confirmed, exported and reloaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from tests.support.documents import ROOT
from tests.support.shell import SMALL, Shell
from tests.support.worker_here import concluded
from trainstack.search.data.load import load
from trainstack.spaces.errors import RequestError
from trainstack.spaces.references import CHAPTER_DEFAULT

pytestmark = [
    *(pytest.mark.acceptance, pytest.mark.keras),
    pytest.mark.usefixtures("workers_here"),
]

SHOPS, ROWS = ("north", "south", "west"), 300


def clothes(folder: Path) -> tuple[str, ...]:
    """Write some of Fashion-MNIST's images; return what `launch` gets."""
    try:
        dataset = load("fashion-mnist")
    except RequestError as absent:
        pytest.skip(f"needs Debian's dataset-fashion-mnist: {absent}")
    rows = np.random.default_rng(0).choice(len(dataset.y), 1200, replace=False)
    images = dataset.x[rows].reshape(-1, 28, 28)
    np.savez(folder / "clothes.npz", x_train=images, y_train=dataset.y[rows])
    return ("clothes.npz", "--network", str(ROOT / "docs/examples/lenet.py:build"), "--trials", "2")


def digits(folder: Path) -> tuple[str, ...]:
    """Write digits as folders of PNG images; return what `launch` gets."""
    image = pytest.importorskip("PIL.Image", reason="needs the extra [images]")
    found: Any = load_digits()
    for place in range(ROWS):
        of_class = folder / "pngs" / str(found.target[place])
        of_class.mkdir(parents=True, exist_ok=True)
        pixels = (found.images[place] * 15).astype("u1")
        image.fromarray(pixels).save(of_class / f"{place}.png")
    return ("pngs", "--network", str(ROOT / "docs/examples/residual.py:build"), "--trials", "2")


def reviews(folder: Path) -> tuple[str, ...]:
    """Write a table with a text and its length, and two stacks; return what `launch` gets."""
    rng = np.random.default_rng(0)
    good = np.arange(ROWS) % 2
    words = rng.integers(3, 9, ROWS) + 9 * good
    frame = pd.DataFrame(
        {
            "price": np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(20, 5, ROWS)).round(2),
            "shop": rng.choice(SHOPS, ROWS),
            "review": [" ".join(f"word{k * row}" for k in range(n)) for row, n in enumerate(words)],
            "length": words,
            "verdict": np.where(good, "good", "bad"),
        }
    )
    frame.to_csv(folder / "reviews.csv", index=False)
    wide = CHAPTER_DEFAULT.but(network__units=32, batch_size=16)
    stacks = [CHAPTER_DEFAULT.but(batch_size=16).to_json(), wide.to_json()]
    (folder / "stacks.json").write_text(json.dumps(stacks), "utf-8")
    network = str(ROOT / "docs/examples/reviews.py:build")
    about = ("--target", "verdict", "--input", "text=length", "--stacks", "stacks.json")
    return ("reviews.csv", "--network", network, *about)


@dataclass(frozen=True)
class Case:
    """A study of one of the networks.

    Attributes:
        write: Writes the data, and returns the arguments of `launch`.
        told: What the launch says of the network's inputs and numbers.
        chance: Accuracy of a constant answer.
    """

    write: Callable[[Path], tuple[str, ...]]
    told: str
    chance: float


CASES = {
    "lenet": Case(clothes, "lenet.py:build: inputs 28 × 28 × 1; 1 number of its own", 0.1),
    "residual": Case(digits, "residual.py:build: inputs 8 × 8 × 1; 2 numbers of its own", 0.1),
    "reviews": Case(reviews, "reviews.py:build: text 1, rest 5; 1 number of its own", 0.5),
}


@pytest.mark.parametrize("name", [*CASES])
def test_a_network_nobody_tuned_is_searched_and_delivered(
    name: str, shell: Shell, tmp_path: Path
) -> None:
    """It is confirmed and named in words; its saved model has the recorded accuracy on raw rows."""
    case = CASES[name]
    asked = case.write(tmp_path)
    launch = (*asked, "--study", name, "--no-models", "--no-yardstick", *SMALL, "--epochs", "4")
    done = concluded(shell, *launch, cwd=tmp_path)
    assert case.told in done.stderr
    found = shell.json("recommend", name)
    assert found["validation"]["loss"]["n"] == 1
    assert f"{name}.py:build" in found["description"]
    model = tmp_path / "model.keras"
    done = shell.within("export", name, "--format", "keras", "-o", model)
    assert done.returncode == 0, done.stderr
    again = shell.json("predict", model, tmp_path / asked[0], "--evaluate")["metrics"]["accuracy"]
    assert case.chance < again <= 1.0
    assert again == pytest.approx(found["test"]["accuracy"]["mean"], abs=0.15)
    if name == "reviews":
        assert "units 32" in " ".join(shell.within("trials", name).stdout.split())
