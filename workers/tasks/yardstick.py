"""The yardstick: a standard model of another kind, trained once on a network's rows."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from trainstack.search.data.splitting import Split
from trainstack.workers.tasks.metrics import means, probability_figures, regression_figures

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
    split: Split, classes: int, asked: bool | None, threads: int, seconds: float = MOST_SECONDS
) -> dict[str, Any]:
    """Train and score the yardstick, or give the reason why it is left out; never raise.

    Of several targets each has a model, and the figures are means over them.

    Args:
        split: The parts that a network was trained on, not standardised.
        classes: Number of classes; 0 in regression.
        asked: True trains it at any cost, None within the bound.
        threads: Number of threads.
        seconds: Time to wait for it.

    Returns:
        `model` and `seconds`, and for `validation` and `test` a `loss` and `accuracy` or `rmse`;
        or `model` and `left_out`, the reason.
    """
    name, (rows, features) = model_name(classes), split.x_train.shape
    targets = len(split.each_target())
    if not asked and work(rows, features, classes, targets) > MOST_WORK:
        times = f" × {classes} classes" if classes > 2 else ""
        times += f" × {targets} targets" if targets > 1 else ""
        why = f"{rows} rows × {features} features{times} take longer than about a minute"
        return {"model": name, "left_out": f"{why}; `launch --yardstick` asks for it"}
    found: dict[str, Any] = {"left_out": f"it was not trained within {max(seconds, 0.0):.0f} s"}

    def train() -> None:
        try:
            each = [_figures(part, classes, max(1, threads)) for part in split.each_target()]
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


def _figures(split: Split, classes: int, threads: int) -> dict[str, dict[str, float]]:
    import sklearn.ensemble
    from threadpoolctl import threadpool_limits

    model = getattr(sklearn.ensemble, model_name(classes))(random_state=SEED)
    # Set in the training thread, because OpenMP's limit is per thread. More threads than cores wait
    # for each other actively: fifty times slower on a busy machine.
    with threadpool_limits(threads, user_api="openmp"):
        model.fit(split.x_train, split.trained(split.y_train))
        return {
            part: _scores(model, split, classes, short)
            for part, short in (("validation", "valid"), ("test", "test"))
        }


def _scores(model: Any, split: Split, classes: int, part: str) -> dict[str, float]:
    x, y = getattr(split, f"x_{part}"), split.target(getattr(split, f"y_{part}"))
    if not classes:
        return regression_figures(split.measurable(model.predict(x)[:, None]), y, split.y_scale)
    p = np.zeros((len(y), classes))
    p[:, model.classes_] = model.predict_proba(x)
    found = probability_figures(np.log(np.maximum(p, 1e-300)), y)
    return {name: found[name] for name in ("loss", "accuracy")}
