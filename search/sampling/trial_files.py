"""Files that the dashboard offers: a trial's curve and layer statistics, the recommended model.

Optuna calls them artifacts. Each trial names its own from the beginning; what they hold is written
when somebody asks, from our tables and the artifact store: nothing is kept twice, nothing can be
out of date, and a worker spends no time on it.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from sqlalchemy import Connection, Engine, Row, select

from trainstack.search.database.schema import tasks
from trainstack.search.records import MEASUREMENT, SEARCH
from trainstack.search.sampling import optuna_tables
from trainstack.spaces.stack import Stack

if TYPE_CHECKING:
    from trainstack.search.artifacts import Store

# How Optuna's keys for them begin (`optuna/artifacts/_upload.py`).
_PREFIX = "artifacts:"
# The first part of an artifact's id; the second one is the task's.
CURVE, LAYERS, MODEL = 1, 2, 3
FILES = {
    CURVE: ("curve.csv", "text/csv"),
    LAYERS: ("layers.csv", "text/csv"),
    MODEL: ("model.keras", "application/octet-stream"),
}
FIGURES = ("mean", "deviation", "saturated", "dead", "gradient_norm")
# A model of more bytes is not held in memory while it is sent.
_IN_MEMORY_BYTES = 16 * 2**20


def of_trial(task_id: int) -> dict[str, str]:
    """Return Optuna's attributes that name a trial's artifacts."""
    return dict(_attribute(kind, task_id) for kind in (CURVE, LAYERS))


def _attribute(kind: int, task_id: int) -> tuple[str, str]:
    name, mimetype = FILES[kind]
    identifier = f"{kind}-{task_id}"
    said = {"artifact_id": identifier, "filename": name, "mimetype": mimetype, "encoding": None}
    return _PREFIX + identifier, json.dumps(said)


def attach_model(connection: Connection, study_id: int) -> dict[str, str]:
    """Name the recommended stack's model on the search trial that found it; again is once.

    Args:
        connection: In whose transaction.
        study_id: Ours.

    Returns:
        The attribute that names it on the study; empty where there is no model.
    """
    mine = tasks.c.study_id == study_id
    row = connection.execute(
        select(tasks).where(mine, tasks.c.kind == MEASUREMENT, tasks.c.outcome == "completed")
    ).first()
    if row is None or "keras" not in row.artifacts:
        return {}
    key, said = _attribute(MODEL, row.task_id)
    chosen = Stack.from_json(row.payload["chosen"]).stack_id
    trial_id = connection.execute(
        select(tasks.c.trial_id)
        .where(mine, tasks.c.kind == SEARCH, tasks.c.outcome == "completed")
        .where(tasks.c.stack_id == chosen, tasks.c.trial_id.is_not(None))
        .order_by(tasks.c.number)
        .limit(1)
    ).scalar()
    if trial_id is not None:
        optuna_tables.note(connection, trial_id, {key: said})
    return {key: said}


class Attached:
    """Optuna's artifact store over our tables; what people upload goes to our artifact store.

    Args:
        engine: The database.
        store: Where models are.
    """

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine, self._store = engine, store

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open an artifact.

        Raises:
            ArtifactNotFound: There is none of that id, or its file cannot be read from here.
        """
        from optuna.artifacts.exceptions import ArtifactNotFound

        parts = artifact_id.split("-")
        try:
            if len(parts) != 2:
                return self._copy(_uploaded(artifact_id))
            kind, task_id = int(parts[0]), int(parts[1])
            with self._engine.connect() as connection:
                row = connection.execute(select(tasks).where(tasks.c.task_id == task_id)).one()
            if kind == MODEL:
                return self._copy(row.artifacts["keras"])
            text = (curve_csv if kind == CURVE else layers_csv)(row)
            return io.BytesIO(text.encode())
        except Exception as error:
            raise ArtifactNotFound(f"no artifact {artifact_id} ({error})") from error

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Keep what somebody uploads."""
        self._store.write(
            _uploaded(artifact_id), lambda file: shutil.copyfileobj(content_body, file)
        )

    def remove(self, artifact_id: str) -> None:
        """Remove what was uploaded; what is ours goes with its study."""
        if artifact_id.count("-") != 1:
            self._store.remove(_uploaded(artifact_id))

    def _copy(self, name: str) -> BinaryIO:
        # Whoever asked reads it to its end, and it goes with the last reference to it.
        copy = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))  # noqa: SIM115
        with self._store.read(name) as file:
            shutil.copyfileobj(file, copy)
        copy.seek(0)
        return copy


def _uploaded(artifact_id: str) -> str:
    return f"dashboard/{artifact_id}"


def curve_csv(row: Row[Any]) -> str:
    """Return losses per epoch, penalty-free, as a table."""
    train, valid = row.train_curve, row.curve
    rows = [(k + 1, train[k] if k < len(train) else "", loss) for k, loss in enumerate(valid)]
    return _csv(("epoch", "train_loss", "valid_loss"), rows)


def layers_csv(row: Row[Any]) -> str:
    """Return what was seen inside the network, at its start and at its best, as a table."""
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
