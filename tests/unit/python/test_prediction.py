"""What a model's answers become, and how they are computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainstack.search.data_spec import DataSpec
from trainstack.search.python.prediction import (
    BATCH_ROWS,
    Answers,
    in_batches,
    inputs_of_frame,
)
from trainstack.spaces.errors import RequestError

DATA = DataSpec("t.csv", "kind", "classification", "f", 2, ("0", "1", "10"))
ROWS = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}, index=["p", "q"])


@dataclass(frozen=True)
class Fixed:
    """A model with fixed answers."""

    found: Any

    def outputs(self, rows: Any) -> np.ndarray:
        """Return the answers."""
        return np.array(self.found)


def answers(found: Any, **changes: Any) -> Answers:
    """Return answers of a fixed model on data that differs from DATA."""
    return Answers(Fixed(found), replace(DATA, **changes))  # type: ignore[arg-type]


def test_classes_have_their_values() -> None:
    """Classes that are whole numbers are given as such; chances have a column for each class."""
    found = answers([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    assert found.predict(ROWS).to_dict() == {"p": 10, "q": 0}
    assert found.predict(ROWS).name == "kind"
    assert found.predict(ROWS.to_numpy()).tolist() == [10, 0]
    assert found.predict_proba(ROWS)[10].to_dict() == {"p": 0.7, "q": 0.1}
    assert answers([[0.1, 0.9]], classes=("no", "yes")).predict(ROWS.to_numpy()) == ["yes"]


def test_a_quantity() -> None:
    """A quantity is a series; its probabilities are refused."""
    found = answers([[1.5], [2.5]], task="regression", classes=())
    assert found.predict(ROWS).tolist() == [1.5, 2.5]
    with pytest.raises(RequestError, match="probabilities of a quantity"):
        found.predict_proba(ROWS)


def test_several_targets() -> None:
    """Several targets have a column each: values of labels, or quantities."""
    two = {"target": ("u", "v"), "classes": ()}
    found = answers([[1.0, 2.0], [3.0, 4.0]], task="regression", **two)
    assert found.predict(ROWS)["v"].to_dict() == {"p": 2.0, "q": 4.0}
    labels = (("no", "yes"), ("0", "1"))
    found = answers([[0.2, 0.9], [0.7, 0.1]], task="multilabel", labels=labels, **two)
    assert found.predict(ROWS)["u"].tolist() == ["no", "yes"]
    assert found.predict(ROWS)["v"].tolist() == [1, 0]
    assert found.predict_proba(ROWS)["v"].tolist() == [0.9, 0.1]


@pytest.mark.parametrize("rows", [1, BATCH_ROWS, BATCH_ROWS + 1])
def test_every_call_has_the_same_rows(rows: int) -> None:
    """The model sees batches of one size, and each row's answer comes back once, in order."""
    seen = []

    def call(part: dict[str, np.ndarray]) -> np.ndarray:
        seen.append(part["x"].shape)
        return part["x"] * 2

    x = np.arange(3.0 * rows).reshape(rows, 3)
    assert np.array_equal(in_batches({"x": x}, call), x * 2)
    assert set(seen) == {(BATCH_ROWS, 3)}
    with pytest.raises(RequestError, match="no rows to predict"):
        in_batches({"x": x[:0]}, call)


def test_columns_of_one_name_are_refused() -> None:
    """It is not known which of them is meant; other columns may repeat, since they are ignored."""
    rows = pd.DataFrame([[1, 2, 3, 4]], columns=["other", "a", "other", "a"])
    model: Any = SimpleNamespace(needed=["a"])
    with pytest.raises(RequestError, match="several columns 'a'; expected one"):
        inputs_of_frame(rows, model)
