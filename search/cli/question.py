"""Flags about what a study asks: its metric, its loss, the weights of rows and classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import numpy as np

    from trainstack.search.data.dataset import Dataset
    from trainstack.search.data.splitting import Split
    from trainstack.search.metrics.own import OwnMetric
    from trainstack.search.metrics.table import Metric

MetricFlag = Annotated[
    str | None,
    typer.Option(
        "--metric", help="Metric that decides: a name or FILE.py:FUNCTION; default: the loss."
    ),
]
LossFlag = Annotated[
    str | None,
    typer.Option("--loss", help="Loss to train on; default: the one that suits the metric."),
]
ClassWeight = Annotated[
    str | None,
    typer.Option(help="Weights of classes: balanced, or JSON such as '{\"rare\": 5}'."),
]
Weight = Annotated[
    str | None, typer.Option(help="Column of a table with the rows' weights; not a feature.")
]
_PARTS = {"valid": "validation", "test": "test"}


def question(
    dataset: Dataset,
    metric: str | None,
    loss: str | None,
    class_weight: str | None,
    folds: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """Check the flags against the data and return the fields of the spec.

    Args:
        dataset: The loaded data.
        metric: A name, `FILE.py:FUNCTION`, or None.
        loss: A name, or None.
        class_weight: `balanced`, JSON, or None.
        folds: Folds of a search trial; 1: none.
        seed: Seed of their division.

    Raises:
        RequestError: A flag is wrong, or the data cannot have the metric.
    """
    from trainstack.search.data.weighting import check_class_weight
    from trainstack.search.metrics.losses import loss_named
    from trainstack.search.metrics.own import read_own
    from trainstack.search.metrics.table import DEFAULTS, METRICS, USUAL_LOSS, metric_named

    task = dataset.task
    own = read_own(metric, tuple(METRICS)) if metric else None
    asked = own.metric(task) if own else metric_named(metric or "", task)
    suits = asked.loss or USUAL_LOSS[task]
    trained = loss_named(loss or suits, task)
    weights = read_class_weight(class_weight)
    check_class_weight(weights, dataset.classes, task)
    if asked.from_zero:
        _check_from_zero(dataset, f"--metric {asked.name}")
    if trained.logarithmic:
        _check_from_zero(dataset, f"--loss {trained.name}")
        if dataset.transform != "none":
            raise RequestError(
                f"--loss {trained.name} with --target-transform {dataset.transform}",
                "one of them",
                "that loss is of a logarithm already",
            )
    _check_parts(dataset, asked, own, folds, seed)
    return {
        "metric": "" if not own and asked.name == DEFAULTS[task] else asked.name,
        "own_metric": own,
        "loss": "" if trained.name == suits else trained.name,
        "class_weight": weights,
    }


def _check_parts(
    dataset: Dataset, asked: Metric, own: OwnMetric | None, folds: int, seed: int
) -> None:
    """Refuse data of which a part of the first split cannot have the metric, or has no weight."""
    from trainstack.search.data.weighting import weighted

    has_weights = dataset.parts["train"].w is not None
    if not (own or asked.every_class or has_weights):
        return  # splitting a large table takes time
    divided = None if folds == 1 else dataset.division.folds(folds, 1, seed)[0]
    split = dataset.split(0) if divided is None else dataset.fold(divided)
    if has_weights:
        weighted(split, "", ())
    for part, name in _PARTS.items():
        if own:
            _try_out(own, split, part, len(dataset.classes))
        elif asked.every_class:
            y, w = getattr(split, f"y_{part}"), split.weights(part)
            _check_every_class(asked, y[w > 0], f"the {name} part", dataset)
    if folds > 1 and not own and asked.every_class:
        _check_every_fold(asked, dataset, folds, seed)


def read_class_weight(text: str | None) -> str | Mapping[str, float]:
    """Read `--class-weight`.

    >>> read_class_weight('{"rare": 5}'), read_class_weight("balanced"), read_class_weight(None)
    ({'rare': 5}, 'balanced', '')
    """
    if text is None or text == "balanced":
        return text or ""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not found:
        raise RequestError(
            f"--class-weight {text!r}", 'balanced, or JSON such as {"class name": weight}'
        )
    return found


def _check_from_zero(dataset: Dataset, flag: str) -> None:
    """Refuse negative targets; their mean must be above 0."""
    for part in dataset.parts.values():
        if (least := part.y.min()) < 0:
            raise RequestError(f"{flag}: the target holds {least:g}", "no negative numbers")
    if not dataset.y.any():
        raise RequestError(f"{flag}: every target is 0", "a target above 0")


def _check_every_fold(asked: Metric, dataset: Dataset, folds: int, seed: int) -> None:
    """Refuse folds of which one validates without a class, or a value of a label."""
    w = dataset.parts["train"].w
    for number, found in enumerate(dataset.division.folds(folds, 1, seed), start=1):
        rows = found["valid"]
        y = dataset.y[rows if w is None else rows[w[rows] > 0]]
        _check_every_class(asked, y, f"the validation part of fold {number}", dataset)


def _check_every_class(asked: Metric, y: np.ndarray, part: str, dataset: Dataset) -> None:
    """Refuse the targets of a part in which a class, or a value of a label, is missing."""
    targets = list(zip(dataset.targets, y.T, dataset.labels, strict=True)) if y.ndim > 1 else []
    for target, column, classes in targets or [("", y, dataset.classes)]:
        of = f" of the target '{' '.join(target.split())}'" if target else ""
        for label, name in enumerate(classes):
            if not (column == label).any():
                raise RequestError(
                    f"--metric {asked.name}: {part} has no row of class '{name}'{of}",
                    "rows of every class in each part",
                    "ask for another metric, such as log_loss",
                )


def _try_out(own: OwnMetric, split: Split, part: str, classes: int) -> None:
    """Call the user's metric on a part, with a prediction that does not depend on the features."""
    import numpy as np

    y, w = getattr(split, f"y_{part}"), split.weights("train")
    if classes:
        shares = np.bincount(split.y_train, weights=w, minlength=classes) / w.sum()
        p = np.tile(shares, (len(y), 1))
    else:  # of several targets the shares of each label's second value, or the means
        p = np.zeros(y.shape) + np.average(split.y_train, weights=w, axis=0)
    own.value(y, p, split.weights(part))
