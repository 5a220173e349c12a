"""Changes to a study's budget and number of workers while it runs."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import Any

from sqlalchemy import URL, Engine, func, select

from trainstack.search.database.connection import connected, parse_url
from trainstack.search.database.schema import durable, ensure, events
from trainstack.search.queue.study_store import CONCLUDED, SEARCHING, change, find, record_event
from trainstack.spaces.errors import RequestError

# Kind of the event that sets the number of workers; its message is the number.
WORKERS = "workers"


def adjust(
    url: URL | str,
    name: str,
    trials: int | None = None,
    timeout_seconds: float | None = None,
    workers: int | None = None,
) -> list[str]:
    """Change a study's budget or number of workers; takes effect within about two seconds.

    Args:
        url: The database.
        name: Name of the study.
        trials: Counted trials in the search's budget, including those that it holds already.
        timeout_seconds: Remaining time of the search, from now (from its resumption, if it is
            paused).
        workers: Number of workers that each process that starts workers (`launch`,
            `trainstack worker`) keeps from now on.

    Returns:
        One line per change, as recorded in the events.

    Raises:
        RequestError: The search (for `workers`: the study) has ended, or already holds more
            trials than `trials`.
        StorageAwayError: The database does not answer.
        StudyError: There is no such study.
    """
    url = parse_url(url) if isinstance(url, str) else url
    with connected(url) as here:
        ensure(here)
        return _adjust(here, name, trials, timeout_seconds, workers)


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
                f"study '{name}' is {study.phase}",
                "a study that is still searching",
                "launch another",
            )
        values: dict[str, Any] = {}
        changes = []
        if trials is not None:
            if study.spec["stacks"]:
                raise RequestError(
                    f"study '{name}' trains the {study.trials} stacks it was given",
                    "a study that draws its stacks",
                )
            if trials < study.held:
                raise RequestError(
                    f"trials={trials}, but {study.held} have ended, are running or are waiting",
                    f"{study.held} or more",
                    f"or end the search: trainstack stop {shlex.quote(name)}",
                )
            values["trials"] = trials
            changes.append(f"trials: {study.trials} before, {trials} now")
        if timeout_seconds is not None:
            begins = func.now() if study.paused_at is None else study.paused_at
            values["deadline_at"] = begins + timedelta(seconds=timeout_seconds)
            changes.append(f"timeout: {timeout_seconds:g} s from now")
        if values:
            change(connection, study.study_id, **values)
        for line in changes:
            record_event(connection, study, "changed", line)
        if workers is not None:
            record_event(connection, study, WORKERS, str(workers))
            changes.append(f"workers: {workers} from now on, wherever some were started")
        return changes


class WorkersWanted:
    """Reads the numbers of workers requested by `set STUDY workers=N` since its creation.

    Args:
        engine: The database.
        name: Name of the study.

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
        """Return the requested number of workers; None if unchanged since the last call."""
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
