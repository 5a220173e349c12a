"""Changing what a study may spend while it searches, and how many workers serve it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import URL, Engine, func, select

from trainstack.search.database.connection import engine as connect
from trainstack.search.database.connection import guarded, parse_url
from trainstack.search.database.schema import durable, ensure, events
from trainstack.search.queue.study_store import CONCLUDED, SEARCHING, change, find, record_event
from trainstack.spaces.errors import RequestError

# The event that says how many workers are wanted; its message is the number.
WORKERS = "workers"


def adjust(
    url: URL | str,
    name: str,
    trials: int | None = None,
    timeout_seconds: float | None = None,
    workers: int | None = None,
) -> list[str]:
    """Change a study's budget or its workers; both are heeded a second or two later.

    Args:
        url: The database.
        name: Which study.
        trials: Counted trials that the search may hold, those it holds already included.
        timeout_seconds: How long it may go on searching, from now (from its resumption, if it
            rests).
        workers: How many each process that starts workers (`launch`, `trainstack worker`) keeps
            from now on.

    Returns:
        What was changed, a line each; recorded as events.

    Raises:
        RequestError: The search (for workers: the study) has ended, or holds more trials than
            asked.
        StorageAwayError: The database does not answer.
        StudyError: There is no such study.
    """
    url = parse_url(url) if isinstance(url, str) else url
    with guarded(url):
        here = connect(url)
        try:
            ensure(here)
            return _adjust(here, name, trials, timeout_seconds, workers)
        finally:
            here.dispose()


def _adjust(
    engine: Engine,
    name: str,
    trials: int | None,
    timeout_seconds: float | None,
    workers: int | None,
) -> list[str]:
    with engine.begin() as connection:
        durable(connection)
        study = find(connection, name, lock=True)
        spends = trials is not None or timeout_seconds is not None
        if study.phase == CONCLUDED or (spends and study.phase != SEARCHING):
            raise RequestError(
                f"study '{name}' is {study.phase}", "a study that still searches", "launch another"
            )
        values: dict[str, Any] = {}
        told = []
        if trials is not None:
            if study.spec["stacks"]:
                raise RequestError(
                    f"study '{name}' trains the {study.trials} stacks it was given",
                    "a study that draws its stacks",
                )
            if trials < study.held:
                raise RequestError(
                    f"trials={trials}, but {study.held} have ended, run or wait already",
                    f"{study.held} or more",
                    f"or end the search: trainstack stop {name}",
                )
            values["trials"] = trials
            told.append(f"trials: {study.trials} before, {trials} now")
        if timeout_seconds is not None:
            begins = func.now() if study.paused_at is None else study.paused_at
            values["deadline_at"] = begins + timedelta(seconds=timeout_seconds)
            told.append(f"timeout: {timeout_seconds:g} s from now")
        if values:
            change(connection, study.study_id, **values)
        for line in told:
            record_event(connection, study, "changed", line)
        if workers is not None:
            record_event(connection, study, WORKERS, str(workers))
            told.append(f"workers: {workers} from now on, wherever some were started")
        return told


class WorkersWanted:
    """What `set STUDY workers=N` says to a process that keeps workers, from its beginning on.

    Args:
        engine: The database.
        name: Which study.

    Raises:
        StudyError: There is no such study.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        with engine.connect() as connection:
            self._study_id = find(connection, name).study_id
            last = select(func.max(events.c.event_id)).where(events.c.study_id == self._study_id)
            self._seen = connection.execute(last).scalar() or 0

    def news(self) -> int | None:
        """Return how many workers are wanted, if that was said since the last look."""
        with self._engine.connect() as connection:
            row = connection.execute(
                select(events.c.event_id, events.c.message)
                .where(events.c.study_id == self._study_id, events.c.event_id > self._seen)
                .where(events.c.kind == WORKERS)
                .order_by(events.c.event_id.desc())
                .limit(1)
            ).first()
        if row is None:
            return None
        self._seen = row.event_id
        return int(row.message)
