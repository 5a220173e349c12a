"""Opening an existing study: its row and its spec."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from trainstack.search.database.schema import ensure
from trainstack.search.queue import study_store
from trainstack.search.queue.rows import StudyRow
from trainstack.search.spec import StudySpec


@dataclass(frozen=True)
class Opened:
    """An open study.

    Attributes:
        row: The study's row as read on opening.
        spec: The study's spec.
    """

    row: StudyRow
    spec: StudySpec


def open_study(engine: Engine, name: str) -> Opened:
    """Read a study's row and its spec.

    Args:
        engine: The database.
        name: Name of the study.

    Raises:
        StudyError: There is no such study.
    """
    ensure(engine)
    with engine.connect() as connection:
        row = study_store.find(connection, name)
    return Opened(row, StudySpec.from_json(row.spec))
