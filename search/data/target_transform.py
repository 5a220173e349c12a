"""Whether a network is trained on a target or on its logarithm."""

from __future__ import annotations

import dataclasses

import numpy as np

from trainstack.search.data.column_names import shown
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.splitting import LOG, NONE
from trainstack.spaces.errors import RequestError

TRANSFORMS = ("auto", LOG, NONE)
# `auto` takes the logarithm of a target more skewed than this, if its logarithm is less skewed than
# LEAST. (0 for a symmetric target; 2 for waiting times; house prices have about 4.)
SKEWED, LEAST = 2.0, 1.0


def transformed(dataset: Dataset, asked: str) -> Dataset:
    """Return the data with the transform of its target decided, and a note if there is one.

    Args:
        dataset: Data as loaded.
        asked: `log`, `none`, or `auto`: the logarithm if every target is positive and
            `wants_log`, by the rows that are not for testing.

    Raises:
        RequestError: The name is unknown, or a logarithm is asked for that does not exist.
    """
    if asked not in TRANSFORMS:
        raise RequestError(f"--target-transform {asked}", "one of " + ", ".join(TRANSFORMS))
    if asked == LOG:
        _check_positive(dataset)
    elif asked == NONE or dataset.task != "regression" or not _want_log(dataset):
        return dataset
    note = "The network is trained on the logarithm of the target; figures are in its own unit."
    return dataclasses.replace(dataset, transform=LOG, notes=(*dataset.notes, note))


def wants_log(y: np.ndarray) -> bool:
    """Return whether `auto` takes the logarithm of targets [N].

    They are positive, and their skewness (third standardised moment) is above SKEWED, that of
    their logarithms within ±LEAST.

    >>> wants_log(np.exp(np.linspace(-3.0, 5.0, 100))), wants_log(np.linspace(1.0, 9.0, 100))
    (True, False)
    """
    return bool(y.min() > 0 and skewness(y) > SKEWED and abs(skewness(np.log(y))) < LEAST)


def skewness(y: np.ndarray) -> float:
    """Return the third standardised moment of numbers that are not all equal, [N]."""
    return float((((y - y.mean()) / y.std()) ** 3).mean())


def _want_log(dataset: Dataset) -> bool:
    """Return whether all targets are positive and, but for the test part, want the logarithm."""
    if any(y.min() <= 0 for _, y in each_target(dataset)):
        return False
    y = np.delete(dataset.y, dataset.division.positions(0).get("test", ()), axis=0)
    return all(wants_log(column) for column in y.reshape(len(y), -1).T)


def each_target(dataset: Dataset) -> list[tuple[str, np.ndarray]]:
    """Return each target's name for a message and its values in all parts, [N]."""
    y = np.concatenate([part.y for part in dataset.parts.values()])
    if isinstance(dataset.target, tuple):
        return [(shown(name), column) for name, column in zip(dataset.target, y.T, strict=True)]
    return [(shown(dataset.target) if dataset.target else f"of {dataset.source}", y)]


def _check_positive(dataset: Dataset) -> None:
    if dataset.task != "regression":
        raise RequestError(
            "--target-transform log for classes", "auto or none", "or --task regression"
        )
    for name, y in each_target(dataset):
        if y.min() <= 0:
            raise RequestError(
                f"--target-transform log, but {int((y <= 0).sum())} value(s) of the target {name} "
                f"are not positive (the least is {y.min():g})",
                "positive numbers",
                "use --target-transform none",
            )
