"""The yardstick: a standard model of another kind, trained once on a network's rows."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from trainstack.workers.tasks.metrics import Scorer, means

# Bound on (rows + SHORT) × features × trees per round, unless it is requested. 100 rounds took
# 0.5 to 2.3 seconds per million on one core shared with other work (from 200 × 5,000 to
# 50,000 × 20, 2 to 10 classes): about a minute. A tree's histograms cost as much as SHORT rows.
MOST_WORK = 30_000_000
SHORT = 5_000
# The measurement continues without it after this time, well before its trainer would count as
# hung (`trainstack.workers.runtime.limits.STALL_SECONDS`).
MOST_SECONDS = 480.0

SEED = 0


def model_name(classes: int) -> str:
    """Return scikit-learn's name of the model."""
    return f"HistGradientBoosting{'Classifier' if classes else 'Regressor'}"


def work(rows: int, features: int, classes: int, targets: int = 1) -> int:
    """Return the cost of training in the unit of MOST_WORK.

    Args:
        rows: Rows of the training part.
        features: Inputs of the network.
        classes: Number of classes, each with one tree per round if more than two; 0 in regression.
        targets: Number of targets, each with a model.
    """
    return (rows + SHORT) * features * (classes if classes > 2 else 1) * targets


def yardstick(
    scorer: Scorer, asked: bool | None, threads: int, seconds: float = MOST_SECONDS
) -> dict[str, Any]:
    """Train and score the yardstick, or give the reason why it is left out; never raise.

    Of several targets each has a model, and the figures are means over them.

    Args:
        scorer: Scores on the split that a network was trained on, with its weights.
        asked: True trains it at any cost, None within the bound.
        threads: Number of threads.
        seconds: Time to wait for it.

    Returns:
        `model` and `seconds`, and for `validation` and `test` the figures of `Scorer.figures`;
        or `model` and `left_out`, the reason.
    """
    classes, (rows, features) = scorer.classes, scorer.split.x_train.shape
    name, targets = model_name(classes), len(scorer.each())
    if not asked and work(rows, features, classes, targets) > MOST_WORK:
        times = f" × {classes} classes" if classes > 2 else ""
        times += f" × {targets} targets" if targets > 1 else ""
        why = f"{rows} rows × {features} features{times} take longer than about a minute"
        return {"model": name, "left_out": f"{why}; `launch --yardstick` asks for it"}
    found: dict[str, Any] = {"left_out": f"it was not trained within {max(seconds, 0.0):.0f} s"}

    def train() -> None:
        try:
            each = [_figures(one, max(1, threads)) for one in scorer.each()]
            parts = {part: means([one[part] for one in each]) for part in each[0]}
            found.update(parts, left_out=None)
        except Exception as error:  # must not fail the measurement
            cause = " ".join(str(error).split())
            found["left_out"] = f"{type(error).__name__}: {cause}"[:200]

    # scikit-learn cannot be interrupted; as a daemon, the thread does not delay the trainer's exit.
    began, thread = time.perf_counter(), threading.Thread(target=train, daemon=True)
    if seconds > 0.0:
        thread.start()
        thread.join(seconds)
    if found["left_out"] is not None:
        return {"model": name, "left_out": found["left_out"]}
    parts = {part: found[part] for part in ("validation", "test")}
    return {"model": name, **parts, "seconds": time.perf_counter() - began}


def _figures(scorer: Scorer, threads: int) -> dict[str, dict[str, float]]:
    import sklearn.ensemble
    from threadpoolctl import threadpool_limits

    split = scorer.split
    model = getattr(sklearn.ensemble, model_name(scorer.classes))(random_state=SEED)
    # Set in the training thread, because OpenMP's limit is per thread.
    with threadpool_limits(threads, user_api="openmp"):
        model.fit(split.x_train, split.trained(split.y_train), sample_weight=split.w_train)
        return {
            part: _scores(model, scorer, short)
            for part, short in (("validation", "valid"), ("test", "test"))
        }


def _scores(model: Any, scorer: Scorer, part: str) -> dict[str, float]:
    x = getattr(scorer.split, f"x_{part}")
    if not scorer.classes:
        found = model.predict(x).astype(np.float64)
        log = scorer.split.log is not None
        return scorer.figures(scorer.split.measurable(found) if log else found, part)
    p = np.zeros((len(x), scorer.classes))
    p[:, model.classes_] = model.predict_proba(x)
    return scorer.figures(scorer.of_predictions(p), part)
