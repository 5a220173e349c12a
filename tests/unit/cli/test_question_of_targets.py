"""Metric and loss flags against several targets and transformed ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trainstack.search.cli.question import question
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.load import load
from trainstack.spaces.errors import RequestError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with labels, one of them on in the first five rows alone, and quantities."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    frame["wet"] = np.arange(60) % 2
    frame["rare"] = (np.arange(60) < 5).astype(int)
    frame["price"] = np.exp(frame["a"])
    frame["rent"] = np.exp(frame["b"])
    path = tmp_path_factory.mktemp("question")
    frame.to_csv(path / "t.csv", index=False)
    return path


def read(folder: Path, target: str, transform: str = "none") -> Dataset:
    """Load the table."""
    return load(str(folder / "t.csv"), target, transform=transform)


@pytest.mark.parametrize(
    ("target", "metric", "loss", "message"),
    [
        ("wet,rare", "roc_auc", None, "has no row of class '1' of the target 'rare'"),
        ("wet,rare", "rmse", None, "a multilabel has no rmse"),
        ("price,rent", "roc_auc", None, "a regression has no roc_auc"),
        ("wet,rare", None, "huber", "a multilabel has no huber loss"),
    ],
)
def test_what_several_targets_cannot_have_is_refused(
    folder: Path, target: str, metric: str | None, loss: str | None, message: str
) -> None:
    """One line names the metric or loss, and the target if one is the reason."""
    with pytest.raises(RequestError, match=message):
        question(read(folder, target), metric, loss, None)


def test_labels_have_no_class_weights(folder: Path) -> None:
    """Weights of classes are those of a single target; the line says why, and what to do."""
    with pytest.raises(RequestError, match=r"--class-weight .* belongs to a row.*--weight COLUMN"):
        question(read(folder, "wet,rare"), None, None, "balanced")


def test_a_logarithm_is_not_taken_twice(folder: Path) -> None:
    """The loss of counts predicts a logarithm already."""
    with pytest.raises(RequestError, match="--loss poisson with --target-transform log"):
        question(read(folder, "price,rent", "log"), None, "poisson", None)


@pytest.mark.parametrize(
    ("target", "metric", "loss"),
    [
        ("wet,rare", "f1_macro", "focal"),
        ("price,rent", "mae", "absolute"),
        ("price,rent", "r2", "poisson"),
    ],
)
def test_what_several_targets_can_have_is_accepted(
    folder: Path, target: str, metric: str, loss: str
) -> None:
    """Labels have the metrics and losses of classes, quantities those of numbers."""
    assert question(read(folder, target), metric, loss, None)["metric"] == metric
