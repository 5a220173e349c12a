"""Opening a study that is there: its row, what was asked, and Optuna's storage beside it."""

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
    """A study within reach.

    Attributes:
        storage: Optuna's; its engine is everybody's.
        row: The study's, as it was just now.
        spec: What was asked.
    """

    storage: optuna.storages.RDBStorage
    row: Row[Any]
    spec: StudySpec


def open_study(url: URL, name: str) -> Opened:
    """Reach a study.

    Raises:
        StudyError: There is no such study.
    """
    storage = open_storage(url)
    ensure(storage.engine)
    with storage.engine.connect() as connection:
        row = study_store.find(connection, name)
    return Opened(storage, row, StudySpec.from_json(row.spec))
