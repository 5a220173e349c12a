"""Predict new rows with an exported model: `python -m trainstack.workers.tasks.predict`.

The request is read from standard input; what is found is written to standard output.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.data import prediction_files
from trainstack.search.data.known_targets import known_rows, known_targets
from trainstack.search.data.model_description import ModelDescription
from trainstack.search.data.new_arrays import read_arrays
from trainstack.search.data.new_tables import CHUNK_ROWS, NewTable
from trainstack.search.data.new_values import Unusual, inputs_of
from trainstack.search.data.predicted_columns import check_intervals, predicted_columns
from trainstack.search.data.table_formats import FORMATS
from trainstack.search.metrics.own import OwnMetric
from trainstack.search.metrics.table import Metric, metrics_of
from trainstack.spaces.errors import RequestError
from trainstack.workers.tasks.requests import serve

if TYPE_CHECKING:
    from trainstack.workers.tasks.predictor import Predictor

# One part of the answers: their columns [N], the rows' index or None, the model's outputs [N, K].
Part = tuple[dict[str, np.ndarray], Any, np.ndarray]


def predict(request: Any) -> Iterator[dict[str, Any]]:
    """Predict the rows of a file or a data set.

    Args:
        request: `{"file", "source", "output", "evaluate", "interval", "records", "own_metric"}`:
            the model's file; a table's path, or what `load` takes; the file to write, or null;
            whether to compute metrics; the intervals' coverage, or null; whether rows are answered
            as objects, else as lines of CSV; the study's own metric, or null.

    Yields:
        `{"note"}` for the user; for some rows `{"rows"}`, their number so far, with their `text`
        or `records` if they are not written to a file; at last `{"metrics", "evaluated"}`.

    Raises:
        RequestError: The rows do not fit the model.
    """
    path, coverage = Path(request["file"]), request["interval"]
    model = ModelDescription.read(path)
    if coverage is not None:
        check_intervals(model)
        predicted_columns(np.zeros((1, max(1, len(model.targets)))), model, coverage)
    source, suffix = request["source"], Path(request["source"]).suffix.lower()
    if model.is_table != (suffix in FORMATS):
        wanted = "a .csv or .parquet file" if model.is_table else "arrays, as in training"
        raise RequestError(f"{source} for a model of {_rows_of(model)}", wanted)
    rows: _TableRows | _ArrayRows
    rows = (_TableRows if model.is_table else _ArrayRows)(source, model, request["evaluate"])
    from trainstack.workers.tasks.predictor import Predictor

    yield from ({"note": note} for note in rows.notes())
    predictor, done, outputs = Predictor(path), 0, []
    with _writer(request["output"]) as write:
        for columns, index, found in rows.parts(predictor, coverage):
            done += len(found)
            if request["evaluate"]:
                outputs.append(found.astype(np.float32) if model.classes else found)
            if write is not None:
                write(columns, index)
                yield {"rows": done}
            elif request["records"]:
                yield {"rows": done, "records": prediction_files.records(columns)}
            else:
                text = prediction_files.csv_text(columns, index, header=done == len(found))
                yield {"rows": done, "text": text}
    yield from ({"note": note} for note in rows.unusual.notes())
    if not request["evaluate"]:
        yield {"metrics": None, "evaluated": 0}
        return
    y, weights, known = rows.targets()
    own = request["own_metric"]
    metrics = metrics_of(model.task)
    if own is not None:
        metrics = [*metrics, OwnMetric(**own).metric(model.task)]
    p = np.concatenate(outputs).astype(np.float64)[known]
    yield {"metrics": evaluated(model, metrics, y, p, weights), "evaluated": len(y)}


def evaluated(
    model: ModelDescription,
    metrics: Sequence[Metric],
    y: np.ndarray,
    outputs: np.ndarray,
    weights: np.ndarray,
) -> dict[str, float]:
    """Return the metrics that have a finite value, by name; those of several targets are means.

    Args:
        model: The model.
        metrics: The metrics.
        y: Its labels or numbers, [N] or [N, T].
        outputs: The model's answers, [N, K] or [N, T].
        weights: The rows' weights, [N].
    """
    one_number = model.task == "regression" and not model.targets
    p = outputs[:, 0] if one_number else outputs
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            row.name: row.value(y, p, weights)
            for row in metrics
            if not (row.from_zero and y.min() < 0)
        }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _rows_of(model: ModelDescription) -> str:
    return "a table's columns" if model.is_table else f"arrays of shape {model.shape}"


@contextlib.contextmanager
def _writer(output: str | None) -> Iterator[prediction_files.Writer | None]:
    if output is None:
        yield None
        return
    with prediction_files.writing(Path(output)) as write:
        yield write


class _TableRows:
    """The rows of a table, read some at a time."""

    def __init__(self, source: str, model: ModelDescription, evaluate: bool) -> None:
        path = Path(source).expanduser()
        if not path.is_file():
            raise RequestError(f"there is no file {path}", "a .csv or .parquet file")
        self.table, self.model, self.unusual = NewTable(path, model), model, Unusual()
        self.table.check(evaluate)
        self.kept = self._kept_columns() if evaluate else []
        self._targets: list[Any] = []

    def _kept_columns(self) -> list[str]:
        weight = self.model.weight
        return [*self.model.target_columns, *([weight] if weight in self.table.names else [])]

    def notes(self) -> list[str]:
        return self.table.notes()

    def parts(self, predictor: Predictor, coverage: float | None) -> Iterator[Part]:
        for chunk in self.table.chunks(CHUNK_ROWS):
            place = self.table.place(chunk.first)
            inputs = inputs_of(chunk.cells, self.model, place, self.unusual)
            found = predictor.of_columns(inputs).astype(np.float64)
            if self.kept:
                self._targets.append(chunk.cells[self.kept])
            yield predicted_columns(found, self.model, coverage), chunk.index, found

    def targets(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the known targets, their weights, and which rows have them."""
        import pandas as pd

        cells: Any = pd.concat(self._targets, ignore_index=True)
        known = known_rows(cells, self.model)
        if not known.any():
            raise RequestError("--evaluate: no row has a value of the target", "the true values")
        return (*known_targets(cells[known], self.model, self.table.place(0)), known)


class _ArrayRows:
    """The rows of arrays in memory."""

    def __init__(self, source: str, model: ModelDescription, evaluate: bool) -> None:
        self.model, self.unusual = model, Unusual()
        self.arrays = read_arrays(source, model)
        if evaluate and self.arrays.y is None:
            raise RequestError(f"--evaluate: {source} holds no targets", "y beside x")

    def notes(self) -> list[str]:
        return []

    def parts(self, predictor: Predictor, coverage: float | None) -> Iterator[Part]:
        for first in range(0, len(self.arrays.x), CHUNK_ROWS):
            found = predictor.of_rows(self.arrays.x[first : first + CHUNK_ROWS])
            yield predicted_columns(found, self.model, coverage), None, found

    def targets(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the targets, their weights, and that all rows have them."""
        y, weights = self.arrays.y, self.arrays.weights
        assert y is not None
        ones = np.ones(len(y))
        return y, ones if weights is None else weights, ones.astype(bool)


if __name__ == "__main__":
    raise SystemExit(serve(predict))
