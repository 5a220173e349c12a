"""The exported script of an average: several seeds, one prediction."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, mean_absolute_error, root_mean_squared_error

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
