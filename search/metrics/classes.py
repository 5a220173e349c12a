"""Metrics of class probabilities, in NumPy.

They are computed after every epoch, where the checks of scikit-learn's functions would take longer
than the epoch of a small network. A test compares each with scikit-learn.

All take labels (int [N], 0 to K-1), probabilities ([N, K]) and weights ([N], not negative, not all
zero), and return a number.
"""

from __future__ import annotations

import numpy as np

# Bins of the top probability in the calibration error.
ECE_BINS = 15


def log_loss(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the mean negative logarithm of the true class's probability, in nats."""
    p = np.clip(p[np.arange(len(y)), y], np.finfo(p.dtype).eps, 1.0)
    return float(np.average(-np.log(p), weights=w))


def accuracy(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the share of rows whose most probable class is right."""
    return float(np.average(p.argmax(1) == y, weights=w))


def balanced_accuracy(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the mean over the classes in `y` of the share of their rows that are right."""
    present, right = _counts(y, w, p), _counts(y, w * (p.argmax(1) == y), p)
    there = present > 0
    return float(np.mean(right[there] / present[there]))


def f1_macro(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the mean F1 over the classes that occur in `y` or among the predictions.

    F1 = 2 · hits / (rows of the class + rows predicted as the class).
    """
    answers = p.argmax(1)
    hits = _counts(y, w * (answers == y), p)
    both = _counts(y, w, p) + _counts(answers, w, p)
    occurs = np.bincount(np.concatenate([y, answers]), minlength=p.shape[1]) > 0
    f1 = np.divide(2.0 * hits, both, out=np.zeros_like(hits), where=both > 0)
    return float(f1[occurs].mean())


def f1_of_label(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the F1 of the second of two classes; 0 if it occurs nowhere."""
    answers = p.argmax(1)
    both = _counts(y, w, p)[1] + _counts(answers, w, p)[1]
    return float(2.0 * _counts(y, w * (answers == y), p)[1] / both) if both > 0 else 0.0


def roc_auc(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the area under the ROC curve; with more than two classes the mean over one-vs-rest."""
    return float(np.mean([_auc(y == k, p[:, k], w) for k in _positives(p)]))


def average_precision(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the sum of precision · gain in recall over the thresholds; as `roc_auc` for more."""
    return float(np.mean([_precision(y == k, p[:, k], w) for k in _positives(p)]))


def brier(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the mean squared error of the probabilities, summed over the classes.

    With two classes it is that of the second class's probability, half of the sum.
    """
    if p.shape[1] == 2:
        return float(np.average((p[:, 1] - y) ** 2, weights=w))
    wrong = np.array(p)
    wrong[np.arange(len(y)), y] -= 1.0
    return float(np.average((wrong**2).sum(1), weights=w))


def ece(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """Return the expected calibration error of the top class's probability.

    The mean over 15 equal bins, weighted by their rows, of |share right - mean probability|.
    """
    top, right = p.max(1), p.argmax(1) == y
    bins = np.minimum((top * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = np.bincount(bins, weights=w * (right - top), minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / w.sum())


def _counts(labels: np.ndarray, w: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the total weight of each class's rows, [K]."""
    return np.bincount(labels, weights=w, minlength=p.shape[1])


def _positives(p: np.ndarray) -> range:
    """Return the classes that are compared with the rest: the second of two, or each."""
    return range(1, 2) if p.shape[1] == 2 else range(p.shape[1])


def _steps(true: np.ndarray, scores: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of true and of false rows at or above each score, highest score first."""
    order = np.argsort(-scores, kind="stable")
    scores, true, w = scores[order], true[order], w[order]
    last = np.append(scores[1:] != scores[:-1], True)  # equal scores are one step
    return np.cumsum(w * true)[last], np.cumsum(w * ~true)[last]


def _auc(true: np.ndarray, scores: np.ndarray, w: np.ndarray) -> float:
    hits, alarms = _steps(true, scores, w)
    if hits[-1] == 0 or alarms[-1] == 0:
        return np.nan
    area = np.sum(np.diff(alarms, prepend=0.0) * (hits + np.append(0.0, hits[:-1])) / 2)
    return area / (hits[-1] * alarms[-1])


def _precision(true: np.ndarray, scores: np.ndarray, w: np.ndarray) -> float:
    hits, alarms = _steps(true, scores, w)
    if hits[-1] == 0:
        return np.nan
    found = hits + alarms
    share = np.divide(hits, found, out=np.zeros_like(hits), where=found > 0)
    return np.sum(np.diff(hits, prepend=0.0) * share) / hits[-1]
