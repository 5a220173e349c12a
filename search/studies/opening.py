"""Opening an existing study: its row, its spec and Optuna's storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import optuna
from sqlalchemy import URL, Row

from trainstack.search.database.schema import ensure
from trainstack.search.queue import study_store
from trainstack.search.sampling.optuna_mirror import open_storage
from trainstack.search.spec import StudySpec


@dataclass(frozen=True)
class Opened:
    """An open study.

    Attributes:
        storage: Optuna's storage; its engine is shared by all code.
        row: The study's row as read on opening.
        spec: The study's spec.
    """

    storage: optuna.storages.RDBStorage
    row: Row[Any]
    spec: StudySpec


def open_study(url: URL, name: str) -> Opened:
    """Open a study.

    Raises:
        StudyError: There is no such study.
    """
    storage = open_storage(url)
    ensure(storage.engine)
    with storage.engine.connect() as connection:
        row = study_store.find(connection, name)
    return Opened(storage, row, StudySpec.from_json(row.spec))
