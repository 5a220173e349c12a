"""Changing how much a study may spend while it searches."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import URL, Engine, func

from search.fleet.connect import engine as connect
from search.fleet.connect import guarded, parse_url
from search.fleet.ledger import SEARCHING, change, find, note
from search.fleet.tables import durable, ensure
from spaces.errors import RequestError


def adjust(
    url: URL | str, name: str, trials: int | None = None, timeout_seconds: float | None = None
) -> list[str]:
    """Change a study's budget; workers heed it at their next claim, a second or so later.

    Args:
        url: The database.
        name: Which study.
        trials: Counted trials that the search may hold, those it holds already included.
        timeout_seconds: How long it may go on searching, from now (from its resumption, if it
            rests).

    Returns:
        What was changed, a line each; recorded as events.

    Raises:
        RequestError: The search has ended, or holds more trials than asked.
        StorageAwayError: The database does not answer.
        StudyError: There is no such study.
    """
    url = parse_url(url) if isinstance(url, str) else url
    with guarded(url):
        here = connect(url)
        try:
            ensure(here)
            return _adjust(here, name, trials, timeout_seconds)
        finally:
            here.dispose()


def _adjust(
    engine: Engine, name: str, trials: int | None, timeout_seconds: float | None
) -> list[str]:
    with engine.begin() as connection:
        durable(connection)
        study = find(connection, name, lock=True)
        if study.phase != SEARCHING:
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
        change(connection, study.study_id, **values)
        for line in told:
            note(connection, study, "changed", line)
        return told
