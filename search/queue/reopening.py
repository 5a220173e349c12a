"""Continuing the confirmation of a study, concluded or not."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Engine, delete, func, select

from trainstack.search.database.schema import durable, tasks
from trainstack.search.queue.study_store import (
    CONCLUDED,
    CONFIRMING,
    GO,
    UNPLANNED,
    change,
    find,
    record_event,
)
from trainstack.search.records import CONFIRMATION, MEASUREMENT, REFIT, Outcome
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError

# Without a first block of at least two seeds there is no interval to look at.
FEWEST_SEEDS = 2
# A year: no limit.
NO_LIMIT = 365 * 86_400.0
REOPENED = "reopened"


def reopen(engine: Engine, name: str, least: int, most: int, seconds: float | None) -> None:
    """Ask for more seeds; a concluded study confirms again, and measures its choice again.

    Args:
        engine: The database.
        name: Name of the study.
        least: Seeds of the leading comparison; 0: as many as decide.
        most: Most seeds while a comparison is open.
        seconds: Time limit of the further seeds; None: no limit.

    Raises:
        RequestError: The study tests claims, or has as many seeds already.
        StudyError: There is no such study.
    """
    with engine.begin() as connection:
        durable(connection)
        study = find(connection, name, lock=True)
        spec = StudySpec.from_json(study.spec)
        if spec.experiment:
            raise RequestError(
                f"study '{name}' tests claims", "a study with a search", "use `trainstack claims`"
            )
        mine = tasks.c.study_id == study.study_id
        raced = (tasks.c.kind == CONFIRMATION) & (tasks.c.seed_index < most)
        seeds = func.coalesce(func.max(tasks.c.seed_index) + 1, 0)
        held = connection.execute(select(seeds).where(mine, raced)).scalar_one()
        if held >= most:
            raise RequestError(
                f"study '{name}' has {held} seeds or more already", f"more than {most} seeds"
            )
        values: dict[str, object] = {"planned": UNPLANNED}
        opened = 0
        if study.phase == CONCLUDED:
            measured = mine & (tasks.c.kind == MEASUREMENT)
            looked = measured & (tasks.c.outcome == Outcome.COMPLETED)
            query = select(func.count()).select_from(tasks).where(looked)
            opened = min(1, connection.execute(query).scalar_one())
            connection.execute(delete(tasks).where(measured | (mine & (tasks.c.kind == REFIT))))
            values |= {"phase": CONFIRMING, "requested_state": GO, "concluded_at": None}
        asked = replace(
            spec,
            replicates=spec.replicates if spec.replicates >= FEWEST_SEEDS else least or most,
            least_replicates=least,
            most_replicates=most,
            confirm_seconds=NO_LIMIT if seconds is None else seconds,
            reopened=spec.reopened + opened,
            launched_with=spec.launched_with
            or {
                "replicates": spec.replicates,
                "most_replicates": spec.most_replicates,
                "confirm_seconds": spec.confirm_seconds,
            },
        )
        change(connection, study.study_id, spec=asked.to_json(), **values)
        record_event(connection, study, REOPENED, f"up to {most} seeds")
