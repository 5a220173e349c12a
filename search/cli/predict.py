"""`trainstack predict STUDY|FILE.keras DATA`: predictions of a study's model for new rows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from trainstack.search.cli.common import AsJson, Storage, err, out, print_json
from trainstack.search.cli.model_file import Model, ModelFile, model_file
from trainstack.search.cli.worker_request import answers

# Rows after which a line says how many are done.
REPORTED_EVERY = 100_000


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(predict)


@dataclass(frozen=True)
class Predictions:
    """Predictions for new rows.

    Attributes:
        model: File of the model.
        study: The study whose model it is; null if a file was named.
        rows: Number of rows.
        output: The file that was written; null: the rows are in `predictions`.
        notes: What the rows have that training had not, one sentence each.
        evaluated: Number of rows whose targets are known, with `--evaluate`.
        metrics: Metrics of these rows by name, the study's own among them; null without
            `--evaluate`.
        predictions: One object per row, with the columns of the CSV file; null with `-o`.
    """

    model: str
    study: str | None
    rows: int
    output: str | None
    notes: tuple[str, ...]
    evaluated: int
    metrics: Mapping[str, float] | None
    predictions: tuple[Mapping[str, Any], ...] | None


def predict(
    model: Model,
    data: Annotated[
        str, typer.Argument(help="New rows: a .csv, .parquet or .npz file, or a data set's name.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write (.csv or .parquet); default: stdout."),
    ] = None,
    evaluate: Annotated[
        bool,
        typer.Option("--evaluate", help="Also print the metrics, if the rows have the target."),
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(
            help="For quantities: add an interval, low and high, with this coverage, e.g. 0.9."
        ),
    ] = None,
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """Predict new rows with a study's model, or an exported one.

    A table's rows are read, predicted and written some at a time, in their order.

    Example: trainstack predict houses new.csv -o predictions.csv
    """
    from trainstack.search.data.prediction_files import check_output
    from trainstack.search.metrics.conformal import check_coverage

    check_coverage(interval)
    if output is not None:
        check_output(output)
    found = model_file(model, storage)
    request = {
        "file": str(found.path),
        "source": data,
        "output": None if output is None else os.path.abspath(output.expanduser()),
        "evaluate": evaluate,
        "interval": interval,
        "records": as_json,
        "own_metric": None if found.own_metric is None else asdict(found.own_metric),
    }
    done = _collected(answers("trainstack.workers.tasks.predict", request), found, output, as_json)
    if as_json:
        print_json(done)
    elif done.metrics is not None:
        # Beside a CSV on standard output, metrics are messages.
        console = err() if output is None else out()
        console.print(f"{done.evaluated} rows with a known target", markup=False)
        for name, value in done.metrics.items():
            console.print(f"{name:<22} {value:.6g}", markup=False)


def _collected(
    found: Iterator[Mapping[str, Any]], model: ModelFile, output: Path | None, as_json: bool
) -> Predictions:
    """Print what the worker answers as it arrives, and return all of it but for printed rows."""
    rows, reported, notes, records = 0, 0, [], []
    last: Mapping[str, Any] = {}
    for answer in found:
        if "note" in answer:
            notes.append(answer["note"])
            err().print(answer["note"], markup=False)
        elif "rows" in answer:
            rows = answer["rows"]
            records += answer.get("records", ())
            sys.stdout.write(answer.get("text", ""))
            if rows // REPORTED_EVERY > reported:
                reported = rows // REPORTED_EVERY
                err().print(f"{rows:,} rows", markup=False)
        else:
            last = answer
    if output is not None and not as_json:
        err().print(f"{rows:,} rows: {output}", markup=False)
    return Predictions(
        model=str(model.path),
        study=model.study,
        rows=rows,
        output=None if output is None else str(output),
        notes=tuple(notes),
        evaluated=last["evaluated"],
        metrics=last["metrics"],
        predictions=tuple(records) if output is None and as_json else None,
    )
