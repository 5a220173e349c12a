"""Calibration of probabilities by one number, the temperature.

Reference: Guo et al., "On calibration of modern neural networks", 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trainstack.search.metrics.classes import log_loss

# The temperature is searched between these.
LOWEST, HIGHEST = 0.05, 20.0
_TINY = 1e-37


def at_temperature(p: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities whose logits are those of `p`, divided by the temperature.

    Args:
        p: Probabilities of the classes, float64 [N, K], K at least 2.
        temperature: Above 0; above 1 it makes probabilities more equal.
    """
    logits = np.log(np.maximum(p, _TINY)) / temperature
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def best_temperature(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the temperature of the lowest log loss; 1 if none lowers it.

    Args:
        y: Labels, int [N].
        p: Probabilities for rows that no network was trained on, float64 [N, K].
        w: Weights of the rows, [N].
    """
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        return log_loss(y, at_temperature(p, float(np.exp(logarithm))), w)

    if not len(y) or not np.sum(w) > 0:
        return 1.0
    bounds = float(np.log(LOWEST)), float(np.log(HIGHEST))
    found: Any = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x)) if found.fun < log_loss(y, p, w) else 1.0
