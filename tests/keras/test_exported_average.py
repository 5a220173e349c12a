"""The exported script of an average: several seeds, one prediction."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn.metrics import (
    brier_score_loss,
    log_loss,
    mean_absolute_error,
    root_mean_squared_error,
)

from tests.support.exported_scripts import executed
from trainstack.search.cli.question import question
from trainstack.search.data.load import load
from trainstack.search.payloads import Refit
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.export.keras_code import script

pytestmark = pytest.mark.keras

STACK = Stack.of(units=[8], batch_size=16, optimizer__learning_rate=0.01)
SEEDS = [7, 8, 9]


def rows(folder: Path) -> Path:
    """Write a table with a class and a quantity."""
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, 200))
    kind = np.where(a + rng.normal(size=200) > 0, "flat", "house")
    frame = pd.DataFrame({"a": a, "b": b, "kind": kind, "price": 40 * np.exp(a + b / 2)})
    frame.to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


CASES = {
    "classes": ("kind", "none", None),
    "quantity": ("price", "none", None),
    "logarithm": ("price", "log", None),
    "another metric": ("price", "none", "mae"),
    "several": ("price,a", "none", None),
}


@pytest.mark.parametrize("case", CASES)
def test_the_script_measures_the_mean_of_its_networks(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After each seed's figures it prints those of the mean prediction, in the target's unit."""
    target, transform, metric = CASES[case]
    data = load(str(rows(tmp_path)), target, transform=transform)
    spec = StudySpec(
        *("s", data.describe(), {"axes": {}}), epochs=3, **question(data, metric, None, None)
    )
    text = script(data, spec, STACK, SEEDS, {"loss": [0.5]}, Refit(7, 2), averaged=True)
    assert "of the mean: 0.5000" in text
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "train.py", "exec"), names)
    train, models = names["train"], []
    names["train"] = lambda *given: models.append(train(*given)) or models[-1]
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in printed] == [*(f"seed {s}" for s in SEEDS), "mean of 3"]
    shown = [float(text) for text in re.findall(r" ([\d.]+)(?=,|$)", printed[-1])]
    split = data.whole()
    x_test = split.prepared().x_test
    outputs = [model.predict(x_test, verbose=0) for model in models]
    if case == "classes":
        p, y = np.mean(outputs, axis=0), split.y_test
        expected = [log_loss(y, p), float((p.argmax(axis=1) == y).mean())]
    else:
        p, y = np.mean([split.predictions(each) for each in outputs], axis=0), split.y_test
        loss = float(np.mean(((p - y) / split.y_scale) ** 2))
        each = root_mean_squared_error(y, p, multioutput="raw_values")
        expected = [loss, float(np.mean(each))]
        if metric == "mae":
            expected = [mean_absolute_error(y, p)]
    assert shown == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("averaged", [True, False])
@pytest.mark.parametrize("case", ["loss", "brier", "labels"])
def test_the_script_calibrates_as_the_exported_model(
    case: str, averaged: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints the figures at the model's temperature, as its first lines record them."""
    labels = case == "labels"
    if labels:
        frame = pd.read_csv(rows(tmp_path))
        frame["high"] = np.where(frame["a"] > frame["b"], "yes", "no")
        frame.to_csv(tmp_path / "rows.csv", index=False)
        data = load(str(tmp_path / "rows.csv"), ["kind", "high"])
    else:
        data = load(str(rows(tmp_path)), "kind")
    asked = question(data, "brier" if case == "brier" else None, None, None)
    spec = StudySpec("s", data.describe(), {"axes": {}}, epochs=3, **asked)
    seeds, recorded = SEEDS if averaged else SEEDS[:1], {"loss": [0.5], "brier": [0.5]}
    given: dict[str, Any] = {"averaged": averaged, "temperature": 1.7}
    text = script(data, spec, STACK, seeds, recorded, Refit(7, 2), **given)
    assert ", calibrated: 0.5000" in text
    names = executed(text)
    train, models = names["train"], []
    names["train"] = lambda *given: models.append(train(*given)) or models[-1]
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("mean of 3, calibrated: " if averaged else "calibrated: ")
    split = data.whole()
    x_test, y = split.prepared().x_test, split.y_test
    p = np.mean([model.predict(x_test, verbose=0) for model in models], axis=0, dtype=float)
    if labels:
        p = special.expit(special.logit(p) / 1.7)
        expected = -np.log(np.where(y == 1, p, 1 - p)).mean()
    else:
        p = special.softmax(np.log(p) / 1.7, axis=1)
        expected = log_loss(y, p) if case == "loss" else brier_score_loss(y, p[:, 1])
    shown = re.findall(r"test \w+ ([\d.]+)", last)
    assert float(shown[0]) == pytest.approx(expected, abs=1e-4)
