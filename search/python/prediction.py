"""Predictions of an exported model in the program's own process."""

from __future__ import annotations

import contextlib
import functools
import importlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.python.progress import LOG
from trainstack.spaces.errors import NothingToRecommend, RequestError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

    from trainstack.search.data.model_description import ModelDescription
    from trainstack.search.data_spec import DataSpec

# Rows of one call of the model. Every call has as many, so that a row's prediction does not depend
# on the rows beside it, to the last digit.
BATCH_ROWS = 256


@dataclass(frozen=True)
class Model:
    """An exported model as the bytes of its file; it can be pickled.

    Attributes:
        content: The `.keras` file.
    """

    content: bytes = field(repr=False)

    @property
    def reads_tables(self) -> bool:
        """True if rows are a frame with a table's columns, not an array of features."""
        return _load(self).description.is_table

    def outputs(self, rows: Any) -> np.ndarray:
        """Return the network's answers.

        Args:
            rows: A frame with a table's columns, or an array [N, …].

        Returns:
            Probabilities [N, K]; predictions in the targets' units [N, T].

        Raises:
            RequestError: The rows cannot be read as those of training.
        """
        loaded = _load(self)
        if not loaded.description.is_table:
            features = {"": np.asarray(rows)}
            return in_batches(features, lambda part: loaded.of_rows(part[""]))
        return in_batches(inputs_of_frame(rows, loaded.description), loaded.of_columns)


def model_of(engine: Engine, study: str) -> Model:
    """Read the recommended model of a study from the artifact store.

    Raises:
        NothingToRecommend: The study has no model.
        RequestError: Its file is not there.
    """
    from trainstack.search.artifacts import open_store
    from trainstack.search.cli.export import copy_from
    from trainstack.search.database.connection import artifacts
    from trainstack.search.evidence.default_model import default_files
    from trainstack.search.queue import queries

    names = default_files(queries.spec_of(engine, study), queries.measurement(engine, study))
    if "keras" not in names:
        raise NothingToRecommend(
            f"study '{study}' has no model", "a study that ended with a recommendation"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        copy_from(open_store(artifacts()), names["keras"], path)
        return Model(path.read_bytes())


def in_batches(
    inputs: Mapping[str, np.ndarray], call: Callable[[dict[str, np.ndarray]], np.ndarray]
) -> np.ndarray:
    """Return a model's answers [N, K], called with BATCH_ROWS rows each time.

    Args:
        inputs: Its inputs by name, [N, …] each.
        call: The model.

    Raises:
        RequestError: There are no rows.
    """
    rows = len(next(iter(inputs.values())))
    if not rows:
        raise RequestError("no rows to predict", "at least one row")
    parts = []
    for start in range(0, rows, BATCH_ROWS):
        taken = np.minimum(np.arange(start, start + BATCH_ROWS), rows - 1)
        found = call({name: values[taken] for name, values in inputs.items()})
        parts.append(np.asarray(found)[: rows - start])
    return np.concatenate(parts)


def inputs_of_frame(rows: Any, model: ModelDescription) -> dict[str, np.ndarray]:
    """Return a model's inputs by name, [N] each, for a frame; other columns are ignored.

    Gaps that training had not, and unknown categories, are logged.

    Raises:
        RequestError: It is no frame, lacks a column, or a cell is of another kind.
    """
    import pandas as pd

    from trainstack.search.data.column_names import find, shown
    from trainstack.search.data.new_values import Unusual, inputs_of

    if not isinstance(rows, pd.DataFrame):
        raise RequestError(
            f"rows of type {type(rows).__name__}", "a data frame with the table's columns"
        )
    table = rows.rename(columns=str)
    found = {name: find(name, list(table.columns)) for name in model.needed}
    if lacking := [name for name, column in found.items() if column is None]:
        named = ", ".join(map(shown, lacking))
        raise RequestError(f"the rows lack the column(s) {named}", "the columns of training")
    if twice := [name for name in found.values() if (table.columns == name).sum() > 1]:
        raise RequestError(
            f"the rows have several columns {shown(str(twice[0]))}", "one column of each name"
        )
    cells: Any = table[list(found.values())].set_axis(list(found), axis=1).reset_index(drop=True)
    unusual = Unusual()
    inputs = inputs_of(cells, model, lambda row: f"row {rows.index[row]}", unusual)
    for note in unusual.notes():
        LOG.info("%s", note)
    return inputs


@functools.lru_cache(maxsize=8)
def _load(model: Model) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(model.content)
        # By its name, as workers are started: `search` imports nothing of `workers`.
        return importlib.import_module("trainstack.workers.tasks.loading").load(path)


@dataclass(frozen=True)
class Answers:
    """A model with the names of what it predicts.

    Attributes:
        model: The model.
        data: Description of the data it was trained on.
    """

    model: Model
    data: DataSpec

    def predict(self, rows: Any) -> Any:
        """Return the most probable class or the prediction of each row; see `Study.predict`."""
        found = self.model.outputs(rows)
        if self.data.classes:
            values = np.asarray(as_values(self.data.classes))[found.argmax(axis=1)]
        elif self.data.labels:
            pairs = [np.asarray(as_values(pair), object) for pair in self.data.labels]
            chosen = [pair[(c > 0.5).astype(int)] for pair, c in zip(pairs, found.T, strict=True)]
            values = np.stack(chosen, axis=1)
        else:
            values = found[:, 0] if found.shape[1] == 1 else found
        return self._indexed(values, rows, self.data.targets)

    def predict_proba(self, rows: Any) -> Any:
        """Return the probability of each class, [N, K]; see `Study.predict`."""
        if not (self.data.classes or self.data.labels):
            raise RequestError(
                "probabilities of a quantity", "a study of classes", "use predict(rows)"
            )
        found = self.model.outputs(rows)
        names = as_values(self.data.classes) if self.data.classes else self.data.targets
        return self._indexed(found, rows, names)

    def _indexed(self, values: np.ndarray, rows: Any, names: Any) -> Any:
        """Return values with the index of a frame; an array for an array."""
        import pandas as pd

        if not isinstance(rows, pd.DataFrame):
            return values
        if values.ndim == 1:
            return pd.Series(values, index=rows.index, name=self.data.target)
        return pd.DataFrame(values, index=rows.index, columns=list(names) or None)


def answers_of(url: URL, study: str) -> Answers:
    """Return the recommended model of a study in a database; see `model_of`."""
    from trainstack.search.database.connection import connected
    from trainstack.search.queue import queries

    with connected(url) as here:
        return Answers(model_of(here, study), queries.spec_of(here, study).data)


def as_values(names: tuple[str, ...]) -> list[Any]:
    """Return names of classes as whole numbers if all are the texts of such, else as they are.

    >>> as_values(("0", "10")), as_values(("007", "8")), as_values(("a", "1"))
    ([0, 10], ['007', '8'], ['a', '1'])
    """
    with contextlib.suppress(ValueError):
        found = [int(name) for name in names]
        if [str(number) for number in found] == list(names):
            return found
    return list(names)
