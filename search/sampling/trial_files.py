"""Files in the dashboard: a trial's curve and layer statistics, the recommended model.

Optuna calls them artifacts. Each trial lists its files from the start; their content is generated
on request from the fleet's tables and the artifact store. Nothing is stored twice or can be out of
date, and workers spend no time on it.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from sqlalchemy import Connection, Engine, select

from trainstack.search.database.schema import studies, tasks
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.payloads import MeasurementPayload
from trainstack.search.queue.rows import TaskRow, task_of
from trainstack.search.records import MEASUREMENT, SEARCH, Outcome
from trainstack.search.spec import StudySpec

if TYPE_CHECKING:
    from trainstack.search.artifacts import Store

# Prefix of Optuna's keys for artifacts (`optuna/artifacts/_upload.py`).
_PREFIX = "artifacts:"
# First part of an artifact's id; the second part is the task's id.
CURVE, LAYERS, MODEL = 1, 2, 3
FILES = {
    CURVE: ("curve.csv", "text/csv"),
    LAYERS: ("layers.csv", "text/csv"),
    MODEL: ("model.keras", "application/octet-stream"),
}
FIGURES = ("mean", "deviation", "saturated", "dead", "gradient_norm")
# Larger models are not held in memory while they are sent.
_IN_MEMORY_BYTES = 16 * 2**20


def of_trial(task_id: int) -> dict[str, str]:
    """Return Optuna's attributes that name a trial's artifacts."""
    return dict(_attribute(kind, task_id) for kind in (CURVE, LAYERS))


def _attribute(kind: int, task_id: int) -> tuple[str, str]:
    name, mimetype = FILES[kind]
    identifier = f"{kind}-{task_id}"
    described = {
        "artifact_id": identifier,
        "filename": name,
        "mimetype": mimetype,
        "encoding": None,
    }
    return _PREFIX + identifier, json.dumps(described)


def of_model(connection: Connection, study_id: int) -> tuple[int | None, dict[str, str]]:
    """Return what attaches the recommended stack's model to its study and its search trial.

    Args:
        connection: The transaction.
        study_id: The fleet's id of the study.

    Returns:
        The number of the stack's search trial, if there is one; and Optuna's attribute that names
        the model, empty if there is no model.
    """
    mine = tasks.c.study_id == study_id
    completed = mine & (tasks.c.kind == MEASUREMENT) & (tasks.c.outcome == Outcome.COMPLETED)
    found = connection.execute(select(tasks).where(completed)).first()
    row = None if found is None else task_of(found)
    if row is None or "keras" not in row.artifacts:
        return None, {}
    assert isinstance(row.payload, MeasurementPayload)
    chosen = row.payload.chosen.stack_id
    number = connection.execute(
        select(tasks.c.number)
        .where(mine, tasks.c.kind == SEARCH, tasks.c.outcome == Outcome.COMPLETED)
        .where(tasks.c.stack_id == chosen)
        .order_by(tasks.c.number)
        .limit(1)
    ).scalar()
    return number, dict([_attribute(MODEL, row.task_id)])


class Attached:
    """Optuna's artifact store backed by the fleet's tables; uploads go to trainstack's store.

    Args:
        engine: The database.
        store: The store of models and uploads.
    """

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine, self._store = engine, store

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open an artifact.

        Raises:
            ArtifactNotFound: There is no artifact of that id, or its file cannot be read.
        """
        from optuna.artifacts.exceptions import ArtifactNotFound

        parts = artifact_id.split("-")
        try:
            if len(parts) != 2:
                return self._copy(_uploaded(artifact_id))
            kind, task_id = int(parts[0]), int(parts[1])
            with self._engine.connect() as connection:
                query = select(tasks).where(tasks.c.task_id == task_id)
                row = task_of(connection.execute(query).one())
                spec = select(studies.c.spec).where(studies.c.study_id == row.study_id)
                deciding = Deciding.of(StudySpec.from_json(connection.execute(spec).scalar_one()))
            if kind == MODEL:
                return self._copy(row.artifacts["keras"])
            text = curve_csv(row, deciding) if kind == CURVE else layers_csv(row)
            return io.BytesIO(text.encode())
        except Exception as error:
            raise ArtifactNotFound(f"no artifact {artifact_id} ({error})") from error

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Store an upload."""
        self._store.write(
            _uploaded(artifact_id), lambda file: shutil.copyfileobj(content_body, file)
        )

    def remove(self, artifact_id: str) -> None:
        """Remove an upload; generated files are kept as long as their study."""
        if artifact_id.count("-") != 1:
            self._store.remove(_uploaded(artifact_id))

    def _copy(self, name: str) -> BinaryIO:
        # The caller reads it to its end; the file is deleted with the last reference.
        copy = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))  # noqa: SIM115
        with self._store.read(name) as file:
            shutil.copyfileobj(file, copy)
        copy.seek(0)
        return copy


def _uploaded(artifact_id: str) -> str:
    return f"dashboard/{artifact_id}"


def curve_csv(row: TaskRow, deciding: Deciding) -> str:
    """Return the penalty-free training loss and the figure that decides per epoch as CSV."""
    train, valid = row.train_curve, map(deciding.figure_of, row.curve)
    rows = [(k + 1, train[k] if k < len(train) else "", value) for k, value in enumerate(valid)]
    return _csv(("epoch", "train_loss", f"valid_{deciding.figure}"), rows)


def layers_csv(row: TaskRow) -> str:
    """Return layer statistics at the start and at the best epoch as CSV."""
    seen: Mapping[str, Any] = row.found.get("layers") or {}
    rows = [
        (moment, place + 1, *(layer.get(figure) for figure in FIGURES))
        for moment, layers in seen.items()
        for place, layer in enumerate(layers)
    ]
    return _csv(("moment", "layer", *FIGURES), rows)


def _csv(titles: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows(rows)
    return text.getvalue()
