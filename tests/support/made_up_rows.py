"""A made-up activation, optimizer and schedule, one row each; as a pytest plugin, in every suite.

    pytest -p tests.support.made_up_rows tests/contract/test_tables.py -k made_up

A row comes with the one line that the suite of its table asks for (see CONTRIBUTING.md).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainstack.spaces.activations import ACTIVATIONS, Activation
from trainstack.spaces.choices import Call, Choice, Parameter
from trainstack.spaces.initializers import GLOROT
from trainstack.spaces.optimizers import OPTIMIZERS, Optimizer
from trainstack.spaces.schedules import SCHEDULES, Schedule


def inverse_root(step: int, steps: int, p: Any) -> float:
    """Return 1 / sqrt(1 + t/s) with s = `length` · steps."""
    return (1.0 + step / (p["length"] * steps)) ** -0.5


@dataclass(frozen=True)
class Added:
    """A row, its table, and its spelling in a space."""

    axis: str
    table: dict[str, Any]
    row: Choice
    arm: dict[str, Any]


ADDED = [
    Added(
        "activation",
        ACTIVATIONS,
        Activation(
            "made_up",
            "x / (1 + |x|)",
            call=Call("layers.Activation", {"activation": "softsign"}),
            initializers=GLOROT,
        ),
        {"initializer": "glorot_uniform"},
    ),
    Added(
        "optimizer",
        OPTIMIZERS,
        Optimizer(
            "made_up",
            "the gradient's sign, with memory",
            (Parameter("learning_rate", 1e-3, 1e-8, 1.0), Parameter("beta_1", 0.9, 0.0, 0.99)),
            call=Call(
                "optimizers.Lion",
                numbers={"learning_rate": "learning_rate", "beta_1": "beta_1"},
            ),
        ),
        {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
    ),
    Added(
        "schedule",
        SCHEDULES,
        Schedule(
            "made_up",
            "1 / sqrt(1 + t/s)",
            (Parameter("length", 0.5, 0.01, 10.0),),
            factor=inverse_root,
        ),
        {"length": {"low": 0.1, "high": 1.0}},
    ),
]

# Name of a suite's table → the new row's line in it.
LINES: dict[str, Any] = {
    "FORMULAS": lambda x: x / (1 + np.abs(x)),
    "STEPS": -0.01,
    "CASES": ({"length": 0.1}, {0: 1, 300: 0.5, 800: 1 / 3, 100: 0.5**0.5, 200: 3**-0.5}),
}


def pytest_configure(config: pytest.Config) -> None:
    """Add the rows before any suite is collected, and rewrite the reference pages."""
    from docs.generate import PAGES

    for added in ADDED:
        added.table[added.row.name] = added.row
    pages = tempfile.TemporaryDirectory()
    config.add_cleanup(pages.cleanup)
    for name, write in PAGES.items():
        (Path(pages.name) / name).write_text(write(), "utf-8")
    config.stash[_PAGES] = Path(pages.name)


def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Give each suite its line for the row, and the pages that include the rows."""
    for module in {item.module for item in items if isinstance(item, pytest.Function)}:
        for table, line in LINES.items():
            if isinstance(lines := getattr(module, table, None), dict):
                lines["made_up"] = line
        if hasattr(module, "REFERENCE"):
            module.REFERENCE = config.stash[_PAGES]  # type: ignore[attr-defined]


_PAGES = pytest.StashKey[Path]()
