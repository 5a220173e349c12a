"""Planted tables on which two metrics have different best stacks: each recommends its own.

Only |b| of the column `b` matters: linear units learn from `a` alone, networks with ReLU from both.
Every run trains a single epoch of at most 1,000 rows, in which the chapter's default learns little
even of `a`, since a few far values leave it small after standardising. The archive has its own
validation part, so seeds differ in training only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.shell import Shell
from tests.support.worker_here import concluded
from trainstack.spaces.stack import Stack

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]

SMALL_STEPS: dict[str, Any] = {"batch_size": 2, "schedule": "cosine"}
LINE = Stack.of(units=[16], activation="linear", optimizer__learning_rate=0.1, **SMALL_STEPS)
BENDS = Stack.of(units=[64, 64], activation="relu", optimizer__learning_rate=0.01, **SMALL_STEPS)
SHRUNK = BENDS.but(units=[256, 256], penalty="l2", penalty__l2=0.015)
ROWS = {"valid": 2000, "test": 1000}


def mirrored(a: np.ndarray, b: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels with each row once for `b` and once for `-b`."""
    x = np.stack([np.tile(a, 2), np.concatenate([b, -b])], axis=1)
    return x.astype("float32"), np.tile(y, 2).astype("int64")


def rare_class(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of which a tenth are of class 1: most where a = 1, all of those with |b| > 0.5.

    Where a = 1 and |b| < 0.5, a quarter are of class 1. Class 0 is the more accurate answer there,
    class 1 the better one for balanced accuracy, because class 1 is rare.
    """
    k = np.arange(rows // 2)
    marked, inner = 0.15 * len(k), 0.15 * 0.35 * len(k)
    a = np.where(k < marked, 1.0, -1.0)
    b = np.where(k < inner, rng.uniform(0, 0.5, len(k)), rng.uniform(0.5, 1, len(k)))
    b[k >= marked] = rng.uniform(0, 1, int((k >= marked).sum()))
    y = (k < marked) & ~((k >= inner / 4) & (k < inner))
    a[::50] *= 60
    y[::50] = a[::50] > 0
    return mirrored(a, b, y)


def certain_and_odd(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return rows whose class is that of a's sign, except for two in five with |b| < 0.5.

    A network that sees `b` ranks the certain rows outside the others. A penalty that keeps its
    probabilities near a half costs log loss but does not change their order.
    """
    k = np.arange(rows // 2)
    pair, pairs = k // 2, len(k) // 2
    a, inner = np.where(k % 2 == 0, 1.0, -1.0), pair < 0.4 * pairs
    b = np.where(inner, rng.uniform(0, 0.5, len(k)), rng.uniform(0.5, 1, len(k)))
    y = (a > 0) ^ (pair < 0.16 * pairs)
    a[pair >= 0.98 * pairs] *= 60
    return mirrored(a, b, y)


def recommended(shell: Shell, folder: Path, metric: str) -> Any:
    """Run a study of one metric on its planted table to its end; return its recommendation."""
    first = "accuracy" in metric
    draw, rows, bends = (rare_class, 1000, BENDS) if first else (certain_and_odd, 400, SHRUNK)
    rng, arrays = np.random.default_rng(1), {}
    for part, count in {"train": rows, **ROWS}.items():
        arrays[f"x_{part}"], arrays[f"y_{part}"] = draw(count, rng)
    np.savez(folder / "planted.npz", **arrays)
    stacks = [LINE.to_json(), bends.to_json()]
    (folder / "stacks.json").write_text(json.dumps(stacks), "utf-8")
    study = f"planted {metric}"
    concluded(
        *(shell, folder / "planted.npz", "--study", study, "--metric", metric),
        *("--stacks", folder / "stacks.json", "--epochs", 1, "--replicates", 8),
        *("--no-yardstick", "--no-models"),
    )
    return shell.json("recommend", study)


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        ("accuracy", BENDS),
        ("balanced_accuracy", LINE),
        ("log_loss", LINE),
        ("roc_auc", SHRUNK),
    ],
)
def test_each_metric_recommends_its_own_best_stack(
    shell: Shell, tmp_path: Path, metric: str, best: Stack
) -> None:
    """Of the same two stacks on the same table, each of a pair of metrics finds its own better."""
    found = recommended(shell, tmp_path, metric)
    assert (found["metric"], found["verdict"]) == (metric, "better")
    assert Stack.from_json(found["stack"]) == best
