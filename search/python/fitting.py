"""A fit of an estimator is a study of the rows that it is given."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.data.checks import MIN_MEAN_ROWS_PER_CLASS, MIN_ROWS
from trainstack.search.json_values import json_safe
from trainstack.search.python.files import data_file
from trainstack.search.python.functions import metric_file
from trainstack.search.python.launching import launch
from trainstack.search.python.prediction import Answers, answers_of
from trainstack.search.python.study import Study, on_storage
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Rows:
    """Rows to learn from.

    Attributes:
        x: Features: an array [N, F] of numbers, or a frame, which is read as a table is.
        y: Targets [N]: whole numbers from 0 for classes.
        weights: Weights of the rows, [N]; None: all count the same.
        task: `classification` or `regression`.
    """

    x: np.ndarray | pd.DataFrame
    y: np.ndarray
    weights: np.ndarray | None
    task: str

    @property
    def copies(self) -> int:
        """How often the rows must be repeated to be enough for a study; 1 for most data."""
        import numpy as np

        least = MIN_ROWS
        counted = len(self.y)
        if self.task == "classification":
            least = max(least, MIN_MEAN_ROWS_PER_CLASS * len(np.unique(self.y)))
            rarest = int(np.unique(self.y, return_counts=True)[1].min())
            if rarest < MIN_MEAN_ROWS_PER_CLASS:
                return max(math.ceil(least / counted), math.ceil(MIN_MEAN_ROWS_PER_CLASS / rarest))
        return math.ceil(least / counted)


@dataclass(frozen=True)
class Learned:
    """What a fit has found.

    Attributes:
        study: Name of the study.
        answers: The recommended model.
    """

    study: str
    answers: Answers


def learn(
    rows: Rows, options: Mapping[str, Any], storage: str | None, progress: bool | None
) -> Learned:
    """Search, confirm, and return the recommended model.

    The study is named after the rows and the options. The same fit again, in this process or
    another, finds it concluded and trains nothing.

    Args:
        rows: The rows.
        options: Keywords of `launch`.
        storage: As for `launch`; likewise `progress`.

    Raises:
        TrainstackError: As for `launch`.
    """
    if "study" in options:
        raise RequestError(f"study={options['study']!r}", "no name: a fit is named by its rows")
    data, asked = as_data(rows)
    path, target = data_file(data, asked.pop("target", None))
    asked = {**asked, **{k: v for k, v in options.items() if v is not None}}
    if "metric" in asked:
        asked["metric"] = metric_file(asked["metric"])
    named = {k: Path(v).name if k == "metric" else v for k, v in asked.items()}
    text = json.dumps([Path(path).stem, target, json_safe(named)], sort_keys=True, default=str)
    name = f"fit-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"
    study = Study(name, on_storage(storage))
    if not study.concluded:
        launch(path, target, study=name, storage=storage, progress=progress, **asked)
    return Learned(name, answers_of(study.url, name))


def as_data(rows: Rows) -> tuple[Any, dict[str, Any]]:
    """Return rows as data of `launch`, and the options that go with it.

    Rows that are too few to hold some out are repeated, and are in every part of the data.
    """
    import numpy as np
    import pandas as pd

    few = rows.copies > 1
    if few:
        warnings.warn(
            f"{len(rows.y)} rows are too few to hold some out: all are used to train, to choose "
            "and to test",
            stacklevel=2,
        )
    asked: dict[str, Any] = {"task": rows.task}
    parts = ("train", "valid", "test") if few else ("train",)
    if not isinstance(rows.x, pd.DataFrame):
        given = {"x": rows.x, "y": rows.y, "w": rows.weights}
        arrays = {
            f"{axis}_{part}": np.concatenate([values] * rows.copies)
            for part in parts
            for axis, values in given.items()
            if values is not None
        }
        return arrays, asked
    table = rows.x.rename(columns=str).reset_index(drop=True)
    added = {"target": rows.y, "weight": rows.weights}
    for option, values in added.items():
        if values is not None:
            asked[option] = _unused(option, table)
            table = table.assign(**{asked[option]: values})
    if few:
        asked["part"] = _unused("part", table)
        copies = [table.assign(**{asked["part"]: part}) for part in parts]
        table = pd.concat(copies * rows.copies, ignore_index=True)
    return table, asked


def _unused(name: str, table: pd.DataFrame) -> str:
    """Return a name that no column has."""
    while name in table.columns:
        name += "_"
    return name
