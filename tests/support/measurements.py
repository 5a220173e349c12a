"""Made-up measurements of a chosen stack."""

from __future__ import annotations

from typing import Any

import numpy as np

SPARSITY = [
    {"threshold": 0.0, "nonzero_fraction": 1.0, "loss": 0.300, "affordable": 1.0},
    {"threshold": 0.01, "nonzero_fraction": 0.4, "loss": 0.301, "affordable": 1.0},
    {"threshold": 0.05, "nonzero_fraction": 0.1, "loss": 0.400, "affordable": 0.0},
]


def stochastic(gains: list[float]) -> dict[str, Any]:
    """A measurement with one seed per gain, whose log loss ten passes change by `gains`."""

    def row(passes: int, loss: float) -> dict[str, float]:
        return {"passes": passes, "log_loss": loss, "brier": 0.1, "ece": 0.02, "loss": loss}

    seeds = [
        {
            "seed": j,
            "deterministic": row(0, 0.3),
            "passes": [row(1, 0.4), row(5, 0.3 + gain + 0.005), row(10, 0.3 + gain)],
        }
        for j, gain in enumerate(gains)
    ]
    mean = float(np.mean(gains))
    averages = [row(1, 0.4), row(5, 0.3 + mean + 0.005), row(10, 0.3 + mean)]
    return {"log_loss": 0.3, "monte_carlo": averages, "monte_carlo_seeds": seeds}


def layer(norm: float | None, deviation: float = 1.0) -> dict[str, float | None]:
    """The figures of one layer."""
    figures = {"mean": 0.0, "deviation": deviation, "saturated": 0.0, "dead": 0.0}
    return {**figures, "gradient_norm": norm}
