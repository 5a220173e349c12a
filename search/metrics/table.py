"""The table of metrics. To add one, add a row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainstack.search.metrics import classes, numbers
from trainstack.spaces.errors import RequestError, nearest

MINIMIZE, MAXIMIZE = "minimize", "maximize"
CLASSIFICATION, REGRESSION = "classification", "regression"
# Several targets of two classes each.
MULTILABEL = "multilabel"

# The targets [N], the predictions ([N, K] probabilities, or [N] numbers), the weights [N].
Function = Callable[[Any, Any, Any], float]


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        name: Its name.
        about: Description with reference.
        direction: `minimize` or `maximize`.
        task: `classification` or `regression`.
        function: Computes it from targets, predictions and weights.
        python: Expression of it in exported code, of targets `y`, predictions `p`, weights `w`.
        loss: The loss that suits it; empty: the task's usual one.
        label: Function for one of several labels, if it is another one.
        label_code: As `python`, of a label, if it differs.
        own: Whether it takes several targets at once: [N, T], probabilities of each label's second
            value or numbers.
        low: Least possible value.
        high: Greatest possible value.
        every_class: Whether it has a value only if each class has rows.
        from_zero: Whether it has a value only for targets that are not negative.
        counts: Whether it counts rows, so that it changes by about 1 / rows at a time.
    """

    name: str
    about: str
    direction: str
    task: str
    function: Function
    python: str = ""
    loss: str = ""
    label: Function | None = None
    label_code: str = ""
    own: bool = False
    low: float = 0.0
    high: float = math.inf
    every_class: bool = False
    from_zero: bool = False
    counts: bool = False

    @property
    def label_python(self) -> str:
        """Expression of it in exported code for one of several labels."""
        return self.label_code or self.python

    @property
    def rises(self) -> bool:
        """True if higher is better."""
        return self.direction == MAXIMIZE

    def value(self, y: Any, p: Any, w: Any) -> float:
        """Return the metric; of several targets its mean over them.

        Args:
            y: Targets, [N] or [N, T].
            p: Probabilities [N, K] or numbers [N]; of several targets the probability of each
                label's second value, or numbers, [N, T].
            w: Weights, [N].
        """
        if y.ndim == 1 or self.own:
            return self.function(y, p, w)
        if self.task == REGRESSION:
            found = [self.function(y[:, k], p[:, k], w) for k in range(y.shape[1])]
        else:
            function = self.label or self.function
            both = np.stack([1 - p, p], axis=2)
            found = [function(y[:, k], both[:, k], w) for k in range(y.shape[1])]
        return float(np.mean(found))

    def objective(self, value: float) -> float:
        """Return the number to minimize: the metric, or 1 - metric if higher is better.

        Relative differences of 1 - metric are differences of the error. The function is its own
        inverse: it returns the metric's value of an objective as well.
        """
        return 1.0 - value if self.rises else value


def _share(name: str, about: str, function: Function, python: str, **more: Any) -> Metric:
    """A metric of classes that rises from 0 to 1."""
    return Metric(name, about, MAXIMIZE, CLASSIFICATION, function, python, high=1.0, **more)


def _error(name: str, about: str, function: Function, python: str, **more: Any) -> Metric:
    """A metric of numbers that falls to 0."""
    return Metric(name, about, MINIMIZE, REGRESSION, function, python, **more)


_LABELS = "labels=range(p.shape[1])"
_SCORES = "p[:, 1] if p.shape[1] == 2 else p"
METRICS: Mapping[str, Metric] = {
    row.name: row
    for row in (
        Metric(
            "log_loss",
            "cross-entropy in nats (Good 1952)",
            *(MINIMIZE, CLASSIFICATION, classes.log_loss),
            f"metrics.log_loss(y, p, {_LABELS}, sample_weight=w)",
        ),
        _share(
            "accuracy",
            "share of right classes",
            classes.accuracy,
            "metrics.accuracy_score(y, p.argmax(1), sample_weight=w)",
            counts=True,
        ),
        _share(
            "balanced_accuracy",
            "mean over the classes of the share right (Brodersen et al. 2010)",
            classes.balanced_accuracy,
            "metrics.balanced_accuracy_score(y, p.argmax(1), sample_weight=w)",
            counts=True,
        ),
        _share(
            "f1_macro",
            "mean F1 of the classes (van Rijsbergen 1979)",
            classes.f1_macro,
            'metrics.f1_score(y, p.argmax(1), average="macro", sample_weight=w)',
            label=classes.f1_of_label,
            label_code="metrics.f1_score(y, p.argmax(1), sample_weight=w, zero_division=0)",
            counts=True,
        ),
        _share(
            "roc_auc",
            "area under the ROC curve (Hanley and McNeil 1982); with more than two classes the "
            "mean of one against the rest",
            classes.roc_auc,
            f'metrics.roc_auc_score(y, {_SCORES}, multi_class="ovr", sample_weight=w)',
            every_class=True,
        ),
        _share(
            "average_precision",
            "precision over recall, as a sum over thresholds (Zhu 2004): of two classes for the "
            "second in order, with more the mean of one against the rest",
            classes.average_precision,
            f"metrics.average_precision_score(y, {_SCORES}, sample_weight=w)",
            every_class=True,
        ),
        Metric(
            "brier",
            "squared error of the probabilities (Brier 1950), summed over the classes; half of "
            "that with two classes",
            *(MINIMIZE, CLASSIFICATION, classes.brier),
            "np.average(((p - np.eye(p.shape[1])[y]) ** 2).sum(1), weights=w)"
            " / (2 if p.shape[1] == 2 else 1)",
            high=2.0,
        ),
        Metric(
            "ece",
            "expected calibration error of the top class in 15 equal bins (Guo et al. 2017)",
            *(MINIMIZE, CLASSIFICATION, classes.ece),
            high=1.0,
        ),
        _error(
            "rmse",
            "root mean squared error, in the target's unit",
            numbers.rmse,
            "metrics.root_mean_squared_error(y, p, sample_weight=w)",
        ),
        _error(
            "mae",
            "mean absolute error, in the target's unit",
            numbers.mae,
            "metrics.mean_absolute_error(y, p, sample_weight=w)",
            loss="absolute",
        ),
        _error(
            "median_absolute_error",
            "median absolute error, in the target's unit",
            numbers.median_absolute_error,
            "metrics.median_absolute_error(y, p, sample_weight=w)",
            loss="absolute",
        ),
        Metric(
            "r2",
            "share of the variance explained (Wright 1921)",
            *(MAXIMIZE, REGRESSION, numbers.r2),
            "metrics.r2_score(y, p, sample_weight=w)",
            low=-math.inf,
            high=1.0,
        ),
        _error(
            "rmsle",
            "root mean squared error of log(1 + value)",
            numbers.rmsle,
            "metrics.root_mean_squared_log_error(y, np.maximum(p, 0), sample_weight=w)",
            from_zero=True,
        ),
        _error(
            "poisson_deviance",
            "mean deviance of counts (McCullagh and Nelder 1989)",
            numbers.poisson_deviance,
            "metrics.mean_poisson_deviance(y, np.maximum(p, "
            f"{numbers.LEAST_RATE}), sample_weight=w)",
            loss="poisson",
            from_zero=True,
        ),
    )
}

# The metric that decides if none is asked for: the loss that networks are trained on.
DEFAULTS = {CLASSIFICATION: "log_loss", MULTILABEL: "log_loss", REGRESSION: "rmse"}
# The loss that suits most metrics.
USUAL_LOSS = {
    CLASSIFICATION: "cross_entropy",
    MULTILABEL: "cross_entropy",
    REGRESSION: "squared",
}
# The figure that is always given beside the loss.
BESIDE = {CLASSIFICATION: "accuracy", MULTILABEL: "accuracy", REGRESSION: "rmse"}


def kind_of(task: str) -> str:
    """Return whose metrics and losses a task has: labels have those of classes."""
    return CLASSIFICATION if task == MULTILABEL else task


def metrics_of(task: str) -> list[Metric]:
    """Return the metrics of a task, in the table's order."""
    return [row for row in METRICS.values() if row.task == kind_of(task)]


def metric_named(name: str, task: str) -> Metric:
    """Return a task's metric by its name; its default metric for an empty name.

    Raises:
        RequestError: There is no such metric, or the task does not have it.
    """
    row = METRICS.get(name or DEFAULTS[task])
    names = [other.name for other in metrics_of(task)]
    if row is None:
        raise RequestError(
            f"--metric: '{name}' is not known",
            "the name of a metric, or FILE.py:FUNCTION",
            nearest(name, names),
        )
    if row.task != kind_of(task):
        raise RequestError(
            f"--metric: a {task} has no {name}",
            ", ".join(names),
            "--task says which task the data is" if row.task == CLASSIFICATION else "",
        )
    return row


def figures(task: str, y: Any, p: Any, w: Any, label: bool = False) -> dict[str, float]:
    """Return all metrics of a task that have a finite value, by name, for a single target.

    Args:
        task: `classification` or `regression`.
        y: Labels or numbers, [N].
        p: Probabilities [N, K], or numbers [N].
        w: Weights, [N].
        label: Whether the target is one of several labels.
    """
    found = {
        row.name: (row.label if label and row.label else row.function)(y, p, w)
        for row in metrics_of(task)
        if not row.from_zero or y.min() >= 0
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}
