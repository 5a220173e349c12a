"""The concluded studies of a storage, read for the first trials of a new one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, select

from trainstack.search.data_spec import DataSpec
from trainstack.search.database.schema import studies, tasks
from trainstack.search.evidence.earlier_studies import EarlierStudy
from trainstack.search.queue.study_store import CONCLUDED
from trainstack.search.records import MEASUREMENT
from trainstack.spaces.errors import RequestError
from trainstack.spaces.stack import Stack

# Most studies that are read, the latest ones.
LATEST = 200


def earlier_studies(engine: Engine) -> list[EarlierStudy]:
    """Return the concluded studies that recommend a stack, the latest first.

    A study of another version whose data or stack this one cannot read is left out.
    """
    query = (
        select(studies.c.name, studies.c.spec, tasks.c.stack)
        .join_from(studies, tasks, studies.c.study_id == tasks.c.study_id)
        .where(studies.c.phase == CONCLUDED, tasks.c.kind == MEASUREMENT)
        .order_by(studies.c.study_id.desc())
        .limit(LATEST)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return [study for row in rows if (study := _read(*row)) is not None]


def _read(name: str, spec: dict[str, Any], stack: dict[str, Any]) -> EarlierStudy | None:
    try:
        return EarlierStudy(name, DataSpec.from_json(spec["data"]), Stack.from_json(stack))
    except RequestError:
        return None
