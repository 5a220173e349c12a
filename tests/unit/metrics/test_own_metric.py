"""A metric of the user's own: what is read, and the one line of every fault."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainstack.search.metrics.own import OwnMetric, read_own
from trainstack.spaces.errors import RequestError

COST = """\
import numpy as np

def cost(y_true, y_pred, weights):
    missed = (y_true == 1) & (y_pred[:, 1] < 0.2)
    return np.average(10.0 * missed, weights=weights)

def hits(y_true, y_pred, weights):
    return (y_pred.argmax(1) == y_true).mean()

hits.direction = "maximize"
"""
Y, P, W = np.array([0, 1, 1, 0]), np.array([[1, 0], [0.9, 0.1], [0.1, 0.9], [0.5, 0.5]]), np.ones(4)


def written(folder: Path, text: str) -> Path:
    """Write a file and return its path."""
    path = folder / "costs.py"
    path.write_text(text, "utf-8")
    return path


def test_a_function_of_a_file_is_a_metric(tmp_path: Path) -> None:
    """It has the function's name, direction and value."""
    path = written(tmp_path, COST)
    cost, hits = (read_own(f"{path}:{name}") for name in ("cost", "hits"))
    assert isinstance(cost, OwnMetric)
    assert isinstance(hits, OwnMetric)
    assert cost.metric("classification").function(Y, P, W) == pytest.approx(2.5)
    assert (cost.direction, hits.direction) == ("minimize", "maximize")
    assert hits.metric("classification").objective(0.75) == pytest.approx(0.25)


def test_the_text_of_the_file_suffices(tmp_path: Path) -> None:
    """A worker without the file computes the same."""
    path = written(tmp_path, COST)
    own = read_own(f"{path}:cost")
    assert own is not None
    path.unlink()
    assert OwnMetric(own.file, own.function, own.direction, own.code).value(Y, P, W) == 2.5


def test_the_function_cannot_change_the_data(tmp_path: Path) -> None:
    """It gets copies."""
    path = written(tmp_path, "def f(y, p, w):\n    p[:] = 0\n    return 1.0\n")
    own, p = read_own(f"{path}:f"), P.copy()
    assert own is not None
    own.value(Y, p, W)
    assert (p == P).all()


def read_and_call(text: str) -> float:
    """Read a metric and return its value."""
    own = read_own(text)
    assert own is not None
    return own.value(Y, P, W)


FAULTS = {
    "raises": ("def f(y, p, w):\n    a = 1\n    return a / 0\n", "ZeroDivisionError.*line 3"),
    "raises in a helper": (
        "def g():\n    raise ValueError('no\\nluck')\ndef f(y, p, w):\n    return g()\n",
        "ValueError: no luck .*line 2",
    ),
    "returns nothing": ("\ndef f(y, p, w):\n    pass\n", "line 2.* returned None"),
    "returns nan": ("def f(y, p, w):\n    return float('nan')\n", "returned nan"),
    "returns a list": ("def f(y, p, w):\n    return [1, 2]\n", r"returned \[1, 2\]"),
    "returns a text": ("def f(y, p, w):\n    return '0.5'\n", "returned '0.5'"),
    "exits": ("import sys\ndef f(y, p, w):\n    sys.exit(3)\n", "SystemExit: 3 .*line 3"),
    "takes other arguments": ("def f(y):\n    return 1\n", "TypeError"),
    "has no such function": ("def g(y, p, w):\n    return 1\n", "no function f"),
    "is no Python": ("def f(y, p, w)\n    return 1\n", "line 1"),
    "fails itself": ("import nowhere_at_all\n", "ModuleNotFoundError.*line 1"),
    "has another direction": (
        "def f(y, p, w):\n    return 1\nf.direction = 'up'\n",
        "direction in costs.py is 'up'",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_with_its_own_message(name: str, tmp_path: Path) -> None:
    """With the file and the line of the fault."""
    text, message = FAULTS[name]
    path = written(tmp_path, text)
    with pytest.raises(RequestError, match=message) as caught:
        read_and_call(f"{path}:f")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["nowhere.py:f", "costs.py"])
def test_a_file_that_is_not_there_or_names_no_function(text: str) -> None:
    """It is refused."""
    with pytest.raises(RequestError):
        read_own(text)


def test_other_texts_are_names() -> None:
    """A name of the table is no file."""
    assert read_own("roc_auc") is None


def test_a_function_may_not_have_the_name_of_a_metric(tmp_path: Path) -> None:
    """Two figures of one name could not be told apart."""
    path = written(tmp_path, "def rmse(y, p, w):\n    return 1.0\n")
    with pytest.raises(RequestError, match="another name"):
        read_own(f"{path}:rmse", known=("rmse",))
