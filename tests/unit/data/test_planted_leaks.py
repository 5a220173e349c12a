"""Planted leaks: a random split promises what new rows do not keep; the right split does not.

`pytest -s` prints the figures, which are in `docs/how-to/divide-the-rows.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from trainstack.search.data.load import load
from trainstack.search.data.split_plan import RANDOM, SplitPlan

# Tables over which figures are averaged.
TABLES = 3
VISITS, PATIENTS = 20, 60
HOURS = 1_500


def patients(seed: int) -> pd.DataFrame:
    """Return visits: each patient has own blood values and a diagnosis that they do not explain.

    One value explains a little. The last half of the patients is not in the table.
    """
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(2 * PATIENTS), VISITS)
    blood = rng.normal(size=(2 * PATIENTS, 4))
    ill = blood[:, 0] + 2 * rng.normal(size=2 * PATIENTS) > 0
    values = blood[who] + rng.normal(0, 0.1, (len(who), 4))
    frame = pd.DataFrame(values, columns=["iron", "zinc", "salt", "fat"])
    return frame.assign(patient=[f"p{k}" for k in who], ill=np.where(ill[who], "yes", "no"))


def readings(seed: int) -> pd.DataFrame:
    """Return hourly readings of a level that drifts, and of a counter that only rises.

    The last third is not in the table.
    """
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=HOURS)
    level = np.zeros(HOURS)
    for hour in range(1, HOURS):
        level[hour] = 0.98 * level[hour - 1] + steps[hour]
    demand = rng.normal(size=HOURS)
    when = pd.date_range("2024-01-01", periods=HOURS, freq="h").astype(str)
    level += demand + rng.normal(size=HOURS) / 2
    counter = np.arange(HOURS) + rng.normal(size=HOURS)
    return pd.DataFrame({"when": when, "counter": counter, "demand": demand, "level": level})


def figures(folder: Path, frame: pd.DataFrame, rows: int, target: str, plan: SplitPlan) -> Any:
    """Return a forest's error on the validation part, and on the rows that are not in the table.

    The error is the share of wrong classes, or the root mean squared error in the target's unit.
    The first `rows` are the table.
    """
    frame[:rows].to_csv(folder / "t.csv", index=False)
    split = load(str(folder / "t.csv"), target, plan=plan).split(0)
    whole = load(write(folder / "whole.csv", frame), target, plan=plan)
    new = whole.x.iloc[rows:]
    y = whole.y[rows:]
    classes = whole.task == "classification"
    forest: Any = RandomForestClassifier if classes else RandomForestRegressor
    model = forest(10, random_state=0).fit(split.prepare(split.x_train), split.y_train)
    found = []
    for x, truth in ((split.x_valid, split.y_valid), (split.encoder.transform(new), y)):
        predicted = model.predict(split.prepare(np.asarray(x)))
        wrong = predicted != truth if classes else np.square(predicted - truth)
        found.append(wrong.mean() if classes else np.sqrt(wrong.mean()))
    return found


def write(path: Path, frame: pd.DataFrame) -> str:
    """Write a table; return its path."""
    frame.to_csv(path, index=False)
    return str(path)


# Leak → maker of the table and new rows, rows of the table, target, the plan that is right.
LEAKS: dict[str, tuple[Any, int, str, SplitPlan]] = {
    "groups": (patients, PATIENTS * VISITS, "ill", SplitPlan(group="patient")),
    "time": (readings, HOURS * 2 // 3, "level", SplitPlan(time="when")),
}


@pytest.mark.thorough
@pytest.mark.parametrize("leak", LEAKS)
def test_a_random_split_is_dishonest_and_the_right_one_is_not(leak: str, tmp_path: Path) -> None:
    """At random, the error on new rows is over twice that on validation; else within a quarter."""
    make, rows, target, right = LEAKS[leak]
    ratios = []
    for name, plan in (("random", RANDOM), (f"--{leak.removesuffix('s')}", right)):
        errors = [figures(tmp_path, make(seed), rows, target, plan) for seed in range(TABLES)]
        promised, kept = np.mean(errors, axis=0)
        print(f"{name}: error on validation {promised:.2f}, on new rows {kept:.2f}")  # noqa: T201
        ratios.append(kept / promised)
    dishonest, honest = ratios
    assert dishonest > 2
    assert 0.8 < honest < 1.25
