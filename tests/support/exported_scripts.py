"""Training scripts as they are exported: a stack of every choice, data of every kind."""

from __future__ import annotations

import contextlib
import io
import runpy
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from trainstack.search.data.load import load
from trainstack.search.data.split_plan import RANDOM, SplitPlan
from trainstack.search.payloads import Refit
from trainstack.search.spec import StudySpec
from trainstack.spaces.activations import ACTIVATIONS
from trainstack.spaces.embeddings import EMBEDDINGS
from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.schedules import SCHEDULES
from trainstack.spaces.stack import Stack
from trainstack.workers.export.keras_code import script

SMALL = {"units": [8, 8], "batch_size": 16}
STACKS = {
    **{f"schedule {n}": Stack.of(optimizer="nesterov", schedule=n, **SMALL) for n in SCHEDULES},
    **{f"activation {n}": Stack.of(activation=n, **SMALL) for n in ACTIVATIONS},
    **{f"optimizer {n}": Stack.of(optimizer=n, **SMALL) for n in OPTIMIZERS},
    **{f"embedding {n}": Stack.of(embedding=n, **SMALL) for n in EMBEDDINGS},
    "embedding, biases at a tenth of the rate": Stack.of(
        embedding="piecewise", bias_rate=0.1, bias="data", **SMALL
    ),
    "1cycle without momentum": Stack.of(optimizer="adam", schedule="1cycle", **SMALL),
    "decay": Stack.of(decay="decoupled", normalization="after", **SMALL),
    "moving average": Stack.of(averaging="exponential", normalization="after", **SMALL),
    "mean of the last epochs": Stack.of(averaging="last", averaging__share=0.5, **SMALL),
    "falling dropout": Stack.of(
        activation="elu", dropout="all", regularizer_schedule="flat_cosine", **SMALL
    ),
    "falling alpha dropout, decay": Stack.of(
        dropout="last", decay="decoupled", regularizer_schedule="flat_cosine", **SMALL
    ),
    "falling dropout of SELU, NTK": Stack.of(
        parametrization="ntk", dropout="hidden", regularizer_schedule="flat_cosine", **SMALL
    ),
    "falling decay of AdamW": Stack.of(
        optimizer="adamw", regularizer_schedule="flat_cosine", **SMALL
    ),
    "label smoothing": Stack.of(label_smoothing=0.1, **SMALL),
    "clipped by value": Stack.of(clipping="value", **SMALL),
    "clipped by norm": Stack.of(clipping="norm", **SMALL),
    "everything": Stack.of(
        **{"units": [8, 8, 8, 6, 5, 4], "connection": "residual", "activation": "rrelu"},
        **{"initializer": "he_uniform", "normalization": "after", "input_normalization": "batch"},
        **{"dropout": "last", "penalty": "l1_l2", "max_norm": "clip", "optimizer": "momentum"},
        **{"schedule": "1cycle", "clipping": "norm"},
    ),
    "penalty, BN before": Stack.of(
        activation="elu", penalty="l2", normalization="before", dropout="all", **SMALL
    ),
    "100 layers": Stack.of(units=[20] * 100),
    "biases at a tenth of the rate": Stack.of(bias_rate=0.1, optimizer="adamw", **SMALL),
    "ntk, all rates": Stack.of(
        **{"input_scale": "learned", "parametrization": "ntk", "head": "zeros", "bias_rate": 0.1},
        **{"penalty": "l1_l2", "max_norm": "clip", "optimizer": "adam", **SMALL},
    ),
    "members": Stack.of(
        **{"members": "shared", "members__count": 3, "dropout": "all", "decay": "decoupled"},
        **{"bias": "data", "calibration": "weights", "label_smoothing": 0.1, **SMALL},
    ),
    "members, ntk": Stack.of(
        **{"members": "shared", "members__count": 2, "parametrization": "ntk", "head": "zeros"},
        **{"input_scale": "learned", "decay": "decoupled", "bias_rate": 0.1, **SMALL},
    ),
    "independent members": Stack.of(
        **{"members": "independent", "members__count": 3, "dropout": "all", "decay": "decoupled"},
        **{"bias": "data", "calibration": "weights", "clipping": "norm", "bias_rate": 0.1, **SMALL},
        parametrization="ntk",
    ),
    "independent members, bins": Stack.of(
        **{"members": "independent", "members__count": 2},
        **{"embedding": "piecewise", "penalty": "l1_l2", "normalization": "after", **SMALL},
    ),
    "ntk alone": Stack.of(parametrization="ntk", **SMALL),
    "autoencoder": Stack.of(pretraining="autoencoder", pretraining__frozen=0.9, **SMALL),
    "autoencoder, ntk, all rates": Stack.of(
        **{"pretraining": "autoencoder", "pretraining__layers": 1, "parametrization": "ntk"},
        **{"input_scale": "learned", "bias_rate": 0.1, "optimizer": "adam", "dropout": "all"},
        **{"penalty": "l2", "decay": "decoupled", **SMALL},
    ),
    "autoencoder, embedding": Stack.of(pretraining="autoencoder", embedding="piecewise", **SMALL),
    "auxiliary": Stack.of(pretraining="auxiliary", embedding="piecewise", **SMALL),
    "auxiliary, ntk": Stack.of(
        pretraining="auxiliary", pretraining__layers=1, parametrization="ntk", **SMALL
    ),
    "normal biases": Stack.of(bias="normal", **SMALL),
    "fitted weights": Stack.of(bias="data", calibration="weights", dropout="all", **SMALL),
    "fitted weights, ntk": Stack.of(
        **{"bias": "data", "calibration": "weights", "connection": "residual"},
        **{"parametrization": "ntk", "input_scale": "learned", "input_normalization": "batch"},
        **{"normalization": "after", **SMALL},
    ),
}


def arrays(folder: Path, rows: int = 120) -> Any:
    """Write and load three classes that depend on the first feature."""
    rng = np.random.default_rng(0)
    y = np.arange(rows) % 3
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    x[:, 0] += y
    np.savez(folder / "a.npz", x_train=x, y_train=y)
    return load(str(folder / "a.npz"))


def houses(folder: Path, target: str = "price", rows: int = 160, plan: SplitPlan = RANDOM) -> Any:
    """Write and load a table with categories and gaps."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "rooms": np.where(np.arange(rows) % 9 == 0, np.nan, rng.integers(1, 9, rows)),
            "colour of the door, as the owner gave it": [
                ("red", "green", None)[row % 3] for row in range(rows)
            ],
            **{f"measurement number {k}": rng.normal(size=rows) for k in range(6)},
        }
    )
    frame["price"] = frame["rooms"].fillna(4) * 10_000 + rng.normal(size=rows)
    frame["kind"] = [("flat", "house")[row % 2] for row in range(rows)]
    if plan.group:
        frame[plan.group] = rng.integers(0, 30, rows)
    if plan.time:
        frame[plan.time] = pd.date_range("2024-01-01", periods=rows).astype(str)
    frame.to_csv(folder / "houses.csv", index=False)
    return load(str(folder / "houses.csv"), target, plan=plan)


def given_parts(folder: Path) -> Any:
    """Write and load arrays whose parts are given."""
    rng = np.random.default_rng(2)
    parts: dict[str, Any] = {}
    for part, rows in (("train", 90), ("valid", 30), ("test", 30)):
        y = np.arange(rows) % 3
        parts |= {f"x_{part}": rng.normal(size=(rows, 4)) + y[:, None], f"y_{part}": y}
    np.savez(folder / "g.npz", **parts)
    return load(str(folder / "g.npz"))


DATA = {
    "arrays": arrays,
    "given parts": given_parts,
    "regression": houses,
    "table": lambda f: houses(f, "kind"),
    "groups": lambda f: houses(f, "kind", plan=SplitPlan(group="street")),
    "times": lambda f: houses(f, plan=SplitPlan(time="sold", gap="5d")),
}


REFIT = Refit(7, 2, (1,))


def spec_of(dataset: Any, epochs: int = 1) -> StudySpec:
    """Return the specification of a study on a data set."""
    return StudySpec("s", dataset.describe(), {}, epochs=epochs)


def written(dataset: Any, stack: Stack, epochs: int = 1, refit: Refit | None = None) -> str:
    """Return the script for a data set and a stack."""
    return script(dataset, spec_of(dataset, epochs), stack, [7, 8], {"loss": [0.5, 1.0]}, refit)


def executed(text: str) -> dict[str, Any]:
    """Run a script's definitions, not its main function."""
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "train.py", "exec"), names)
    return names


def printed_by(script: Path, *arguments: object) -> str:
    """Run a script with its main function in this process; return what it prints."""
    words = [str(script), *map(str, arguments)]
    with contextlib.redirect_stdout(io.StringIO()) as output, patch("sys.argv", words):
        code = None
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as ended:
            code = ended.code
    assert not code, output.getvalue()
    return output.getvalue()
