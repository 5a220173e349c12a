"""The data sets included in scikit-learn."""

from __future__ import annotations

from typing import Any

from trainstack.search.data.part import Part
from trainstack.search.data.raw import Raw


def read_bundled(function: str, task: str) -> Raw:
    """Return the data of one of scikit-learn's `load_…` functions.

    Args:
        function: Its name in `sklearn.datasets`.
        task: `classification` or `regression`.
    """
    import sklearn.datasets

    bunch: Any = getattr(sklearn.datasets, function)()
    names = bunch.target_names if task == "classification" else ()
    return Raw(
        {"train": Part(bunch.data, bunch.target)},
        python=(
            f"from sklearn.datasets import {function}",
            "",
            f"x_train, y_train = {function}(return_X_y=True)",
        ),
        task=task,
        classes=tuple(str(name) for name in names),
        columns=tuple(str(name) for name in bunch.feature_names),
    )
