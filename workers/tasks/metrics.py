"""Figures of a model's predictions: losses, accuracies, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

ECE_BINS = 15


def classification_figures(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return test figures of a classifier.

    Args:
        logits: [N, K].
        labels: int [N], 0 to K-1.

    Returns:
        `loss` and `log_loss` (cross-entropy, nats), `accuracy`, `brier` (sum over classes of
        squared differences; Brier 1950), `ece` (expected calibration error with 15 equal bins of
        the top probability; Guo et al., "On Calibration of Modern Neural Networks", 2017).
    """
    return probability_figures(log_softmax(logits), labels)


def means(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each figure over several targets, which may be a single one."""
    return {name: float(np.mean([each[name] for each in figures])) for name in figures[0]}


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log probabilities of logits [N, K], in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def probability_figures(log_p: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the figures of `classification_figures` for log probabilities [N, K]."""
    p = np.exp(log_p)
    rows = np.arange(len(labels))
    loss = float(-log_p[rows, labels].mean())
    right = p.argmax(axis=1) == labels
    one_hot = np.zeros_like(p)
    one_hot[rows, labels] = 1.0
    top = p.max(axis=1)
    bins = np.minimum((top * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = [
        abs(right[bins == b].sum() - top[bins == b].sum()) / len(labels) for b in range(ECE_BINS)
    ]
    return {
        "loss": loss,
        "log_loss": loss,
        "accuracy": float(right.mean()),
        "brier": float(((p - one_hot) ** 2).sum(axis=1).mean()),
        "ece": float(np.sum(gaps)),
    }


def regression_figures(
    outputs: np.ndarray, targets: np.ndarray, y_scale: float
) -> dict[str, float]:
    """Return test figures of a regression: `loss` (standardised target) and `rmse` in its unit.

    Args:
        outputs: [N, 1], standardised.
        targets: float [N], standardised.
        y_scale: Standard deviation of the training targets.
    """
    loss = float(np.mean((outputs[:, 0].astype(np.float64) - targets) ** 2))
    return {"loss": loss, "rmse": loss**0.5 * float(y_scale)}
