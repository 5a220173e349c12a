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
    """Return the temperature of the lowest smoothed log loss; 1 if it does not lower the log loss.

    Of N rows, a share 1 / (N + 2) of each label is given to the other classes: where all N rows
    are right, the next one is wrong with this probability. Without it, few rows that are all
    right would make probabilities far too certain.

    Args:
        y: Labels, int [N].
        p: Probabilities for rows that no network was trained on, float64 [N, K].
        w: Weights of the rows, [N].

    Reference: Platt, "Probabilistic outputs for support vector machines", 1999, for the smoothing.
    """
    from scipy.optimize import minimize_scalar

    if not len(y) or not np.sum(w) > 0:
        return 1.0
    others = 1.0 / (len(y) + 2)
    share = np.full(p.shape, others / (p.shape[1] - 1))
    share[np.arange(len(y)), y] = 1.0 - others

    def loss(logarithm: float) -> float:
        logarithms = np.log(np.maximum(at_temperature(p, float(np.exp(logarithm))), _TINY))
        return float(np.average(-(share * logarithms).sum(axis=1), weights=w))

    bounds = float(np.log(LOWEST)), float(np.log(HIGHEST))
    found: Any = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    temperature = float(np.exp(found.x))
    return (
        temperature if log_loss(y, at_temperature(p, temperature), w) < log_loss(y, p, w) else 1.0
    )
