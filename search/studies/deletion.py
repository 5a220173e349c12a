"""Deletion of a study with all that was kept of it."""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, delete, select

from trainstack.search.artifact_names import folder_of
from trainstack.search.artifacts import open_store
from trainstack.search.database.connection import artifacts, connected, home
from trainstack.search.database.schema import durable, ensure, studies, tasks
from trainstack.search.queue import queries, study_store
from trainstack.search.queue.status import StudyStatus
from trainstack.search.report_folder import report_folder, report_name
from trainstack.spaces.errors import RequestError, TrainstackError


def delete_study(url: URL, name: str) -> None:
    """Delete a study: its trials and runs, its copy for Optuna's tools, models, report and logs.

    A frame or an array that a program gave is deleted too, unless another study of this storage
    uses it. Files in the artifact store stay if it is out of reach.

    Raises:
        RequestError: Workers are at the study, which is not concluded.
        StorageAwayError: The database does not answer.
        StudyError: There is no such study.
    """
    with connected(url) as here:
        ensure(here)
        with here.begin() as connection:
            durable(connection)
            study = study_store.find(connection, name, lock=True)
            if _has_work(queries.status(here, name)):
                raise RequestError(
                    f"workers are at study '{name}'", "a study without workers", "cancel() it first"
                )
            named = select(tasks.c.artifacts).where(tasks.c.study_id == study.study_id)
            kept = {file for row in connection.scalars(named) for file in row.values()}
            connection.execute(delete(studies).where(studies.c.study_id == study.study_id))
            given = _given(study.spec) - _given(_specs(connection))
        _delete_copy(here, name)
    report = report_folder(name)
    kept |= {f"{report_name(name)}/{path.name}" for path in report.glob("*")}
    shutil.rmtree(report, ignore_errors=True)
    with contextlib.suppress(OSError, TrainstackError):
        for file in sorted(kept):
            open_store(artifacts()).remove(file)
    for path in given:
        path.unlink(missing_ok=True)
    shutil.rmtree(home() / "logs" / folder_of(name), ignore_errors=True)


def _has_work(status: StudyStatus) -> bool:
    """Tell whether workers are there that have, or may get, something to do."""
    there = [worker for worker in status.workers if worker.state != "lost"]
    return bool(there) and not status.concluded


def _delete_copy(here: Engine, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook, tqdm's about a package for its bars
        from trainstack.search.sampling.optuna_storage import delete_copy
    delete_copy(here, name)


def _specs(connection: Connection) -> list[Any]:
    return [*connection.scalars(select(studies.c.spec))]


def _given(document: Any) -> set[Path]:
    """Return the files of programs' frames and arrays that a document names."""
    if isinstance(document, Mapping):
        document = [*document.values()]
    if isinstance(document, list):
        return set().union(*map(_given, document))
    named = isinstance(document, str) and document.startswith(str(home() / "given"))
    return {Path(document)} if named else set()
