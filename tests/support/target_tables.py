"""A table with targets of every kind, for tests of exported models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trainstack.search.data.load import load
from trainstack.search.data_spec import DataSpec

# Kind → its target columns, and arguments of `load`.
TARGETS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "classes": (["kind"], {}),
    "labels": (["wet", "warm"], {}),
    "number": (["price"], {}),
    "logarithm": (["price"], {"transform": "log"}),
}


def written(kind: str, folder: Path) -> DataSpec:
    """Write a table of 200 rows with three numbers and a kind of target; return its description."""
    x = np.random.default_rng(1).normal(size=(200, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["kind"] = np.array(["low", "mid", "top"])[np.digitize(x[:, 0], [-0.5, 0.5])]
    frame["wet"], frame["warm"] = np.where(x[:, :2] > 0, "yes", "no").T
    frame["price"] = np.exp(x[:, 1] + 2)
    targets, asked = TARGETS[kind]
    frame[["a", "b", "c", *targets]].to_csv(folder / "rows.csv", index=False)
    return load(str(folder / "rows.csv"), ",".join(targets), "auto", **asked).describe()
