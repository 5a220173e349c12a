"""A program's function as a metric."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy import average

from trainstack.search.metrics.own import OwnMetric, read_own
from trainstack.search.python.functions import metric_file
from trainstack.spaces.errors import RequestError

TENFOLD = 10.0
LIMIT = math.inf
SHARE = np.float64(0.5)
TABLE = {"a": 1.0}


def cost(y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray) -> float:
    """A missed case costs ten times a false alarm."""
    alarm = y_pred[:, 1] > math.exp(-1)
    costs = np.minimum(np.where(y_true == 1, TENFOLD * ~alarm, alarm), LIMIT)
    return SHARE * average(costs, weights=weights)


cost.direction = "maximize"  # type: ignore[attr-defined]


def of_a_table(y: Any, p: Any, w: Any) -> float:
    return TABLE["a"]


@functools.wraps(of_a_table)
def wrapped(y: Any, p: Any, w: Any) -> float:
    return of_a_table(y, p, w)


def helped(y: Any, p: Any, w: Any) -> float:
    return of_a_table(y, p, w)


def around(price: float) -> Callable[..., float]:
    def inner(y: Any, p: Any, w: Any) -> float:
        return price

    return inner


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own."""
    monkeypatch.setenv("TRAINSTACK_HOME", str(tmp_path))
    return tmp_path


def read(function: Callable[..., Any]) -> OwnMetric:
    """Return the function as the command reads it."""
    found = read_own(metric_file(function))
    assert found is not None
    return found


def test_a_function_is_stored_with_what_it_uses() -> None:
    """The file's function gives the same numbers, with its modules, constants and direction."""
    found = read(cost)
    rng = np.random.default_rng(0)
    y, p, w = rng.integers(0, 2, 9), rng.random((9, 2)), rng.random(9)
    assert found.value(y, p, w) == cost(y, p, w)
    assert found.direction == "maximize"
    assert found.function == "cost"
    assert metric_file(cost) == metric_file(cost)


def test_a_name_stays_a_name(home: Path) -> None:
    """A text is passed on, and nothing is written."""
    assert metric_file("roc_auc") == "roc_auc"
    assert not (home / "given").exists()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (len, "len is no plain function"),
        (lambda y, p, w: 0.0, "is no plain function"),
        (3, "int is no plain function; expected a plain function"),
        (functools.partial(cost), "partial is no plain function"),
        (wrapped, "has a decorator"),
        (around(2.0), "names of a function around it"),
        (of_a_table, "uses 'TABLE', which is of this program; expected modules"),
        (helped, "uses 'of_a_table', which is of this program"),
    ],
)
def test_what_cannot_be_stored_is_refused(function: Any, message: str) -> None:
    """A function that would not be the same in another process gives one line with a hint."""
    with pytest.raises(RequestError, match=message) as error:
        metric_file(function)
    assert "\n" not in str(error.value)


def test_a_function_without_source_is_refused() -> None:
    """A function made by `exec` has no source to store."""
    made: dict[str, Any] = {}
    exec("def made(y, p, w):\n    return 0.0\n", made)
    with pytest.raises(RequestError, match="the source of made is not known"):
        metric_file(made["made"])
