"""The flags about metric, loss and weights: what the spec holds, and the line of every fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainstack.search.cli.question import question
from trainstack.search.data.load import load
from trainstack.search.data.split_plan import RANDOM, SplitPlan
from trainstack.search.data.weighting import class_factors
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError


def rows(**columns: Any) -> pd.DataFrame:
    """Return 60 rows of two classes, with numbers and weights; `columns` replace some."""
    rng = np.random.default_rng(0)
    given = {
        "a": rng.normal(size=60),
        "b": rng.normal(size=60),
        "kind": np.where(np.arange(60) % 3 == 0, "rare", "usual"),
        "count": rng.poisson(3.0, 60) + 0.5,
        "w": rng.integers(1, 4, 60),
    }
    return pd.DataFrame({**given, **columns})


def asked(folder: Path, target: str, weight: str | None = None, **flags: Any) -> dict[str, Any]:
    """Return the fields of the spec for flags on the rows."""
    columns, plan = flags.pop("columns", {}), flags.pop("plan", RANDOM)
    rows(**columns).to_csv(folder / "rows.csv", index=False)
    data = load(str(folder / "rows.csv"), target, "auto", weight=weight, plan=plan)
    return question(data, **{"metric": None, "loss": None, "class_weight": None, **flags})


def test_the_usual_metric_and_loss_leave_the_spec_as_it_was(tmp_path: Path) -> None:
    """A study that names them is the study that does not."""
    named = asked(tmp_path, "kind", metric="log_loss", loss="cross_entropy")
    assert named == asked(tmp_path, "kind")


def test_the_loss_follows_the_metric(tmp_path: Path) -> None:
    """The absolute error is trained for `mae`, unless another loss is asked for."""
    rows().to_csv(tmp_path / "rows.csv", index=False)
    data = load(str(tmp_path / "rows.csv"), "count", "auto")
    for loss, trained in ((None, "absolute"), ("huber", "huber")):
        spec = StudySpec("s", data.describe(), {}, **question(data, "mae", loss, None))
        assert StudySpec.from_json(spec.to_json()).trained_on.name == trained


def test_another_text_of_the_metrics_file_is_another_study(tmp_path: Path) -> None:
    """The difference is named, without the text."""
    path = tmp_path / "own.py"
    specs = []
    for value in (1, 2):
        path.write_text(f"def f(y, p, w):\n    return {value}\n")
        found = asked(tmp_path, "kind", metric=f"{path}:f")
        data = load(str(tmp_path / "rows.csv"), "kind", "auto").describe()
        specs.append(StudySpec("s", data, {}, **found))
    assert specs[0].differences(specs[1]) == ["the metric's file holds another text"]


NEGATIVE = {"w": np.where(np.arange(60) == 7, -1.0, 1.0)}
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no such metric": ({"target": "kind", "metric": "auc"}, "'auc' is not known"),
    "another task's metric": ({"target": "kind", "metric": "mae"}, "classification has no mae"),
    "another task's loss": ({"target": "count", "loss": "focal"}, "regression has no focal loss"),
    "no such loss": ({"target": "kind", "loss": "hinge"}, "'hinge' is not known"),
    "no such file": ({"target": "kind", "metric": "nowhere.py:f"}, "there is no file nowhere.py"),
    "negative target for rmsle": (
        {"target": "a", "metric": "rmsle"},
        "--metric rmsle: the target holds -",
    ),
    "negative target for the Poisson loss": (
        {"target": "a", "loss": "poisson"},
        "--loss poisson: the target holds -",
    ),
    "weights of no classes": (
        {"target": "count", "class_weight": "balanced"},
        "a regression has no classes",
    ),
    "a class that is not there": (
        {"target": "kind", "class_weight": '{"rar": 2}'},
        "no class 'rar'.*did you mean 'rare'",
    ),
    "a class weight of 0": ({"target": "kind", "class_weight": '{"rare": 0}'}, "has weight 0"),
    "class weights that are no JSON": (
        {"target": "kind", "class_weight": "rare=2"},
        "--class-weight 'rare=2'",
    ),
    "a weight that is the target": ({"target": "kind", "weight": "kind"}, "is the target"),
    "a weight column that is not there": ({"target": "kind", "weight": "ww"}, "no column 'ww'"),
    "a weight that is text": ({"target": "count", "weight": "kind"}, "is 'rare' in line 2"),
    "a negative weight": (
        {"target": "kind", "weight": "w", "columns": NEGATIVE},
        "is -1 in line 9",
    ),
    "a missing weight": (
        {"target": "kind", "weight": "w", "columns": {"w": [None, *range(1, 60)]}},
        "is missing in line 2",
    ),
    "only weights of 0": (
        {"target": "kind", "weight": "w", "columns": {"w": np.zeros(60)}},
        "every weight is 0",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line(name: str, tmp_path: Path) -> None:
    """It names the flag or the column, and what is wrong."""
    flags, message = FAULTS[name]
    with pytest.raises(RequestError, match=message) as caught:
        asked(tmp_path, **flags)
    assert "\n" not in str(caught.value)


def test_each_part_needs_a_row_that_counts(tmp_path: Path) -> None:
    """A validation part whose rows all have the weight 0 is refused, whatever the metric."""
    part = np.repeat(["train", "valid", "test"], 20)
    with pytest.raises(RequestError, match=r"row of the validation part has the weight 0; expect"):
        asked(
            tmp_path,
            "kind",
            weight="w",
            plan=SplitPlan(part="part"),
            columns={"w": 1 * (part != "valid"), "part": part},
        )


def test_a_class_without_weight_in_training_weighs_nothing() -> None:
    """Balanced weights give the other classes equal totals; there are no infinite ones."""
    y, w = np.array([0, 0, 0, 1, 2]), np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    factors = class_factors(y, w, "balanced", ("a", "b", "c"))
    assert factors is not None
    assert factors.tolist() == pytest.approx([4 / 9, 4 / 3, 0.0])


def test_an_area_needs_every_class_in_each_part(tmp_path: Path) -> None:
    """An archive whose validation part has one class is refused for it, and only for it."""
    rng = np.random.default_rng(0)
    arrays = {f"x_{part}": rng.normal(size=(40, 2)) for part in ("train", "valid", "test")}
    y = np.arange(40) % 2
    arrays |= {"y_train": y, "y_valid": np.zeros(40, int), "y_test": y}
    np.savez(tmp_path / "d.npz", **arrays)
    data = load(str(tmp_path / "d.npz"))
    with pytest.raises(RequestError, match="validation part has no row of class '1'"):
        question(data, "roc_auc", None, None)
    assert question(data, "f1_macro", None, None)["metric"] == "f1_macro"


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"w_train": -np.ones(40)}, "weight -1"),
        ({"w_train": np.zeros(40)}, "every weight is 0"),
        ({"w_train": np.ones(3)}, "40 numbers"),
    ],
)
def test_weights_of_an_archive_are_checked(
    weights: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    """As those of a table."""
    x, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, **weights)
    with pytest.raises(RequestError, match=message):
        load(str(tmp_path / "d.npz"))


def test_weights_of_an_archive_are_split_with_their_rows(tmp_path: Path) -> None:
    """Every part has the weights of its own rows."""
    x, y = np.arange(80.0).reshape(40, 2), np.arange(40) % 2
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, w_train=x[:, 0] + 1)
    split = load(str(tmp_path / "d.npz")).split(4)
    for part in ("train", "valid", "test"):
        assert (split.weights(part) == getattr(split, f"x_{part}")[:, 0] + 1).all()
