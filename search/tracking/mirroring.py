"""Keeps a tracker up to date with a study, off the way of everything else.

A round adds every run that has ended and is not there yet. A tracker that is away is tried again
later; what it missed is found by comparison, so nothing has to be remembered.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, select

from trainstack.search.database.schema import tasks
from trainstack.search.queue import study_store
from trainstack.search.queue.rows import StudyRow, task_of
from trainstack.search.records import CONFIRMATION, SEARCH, Status
from trainstack.search.tracking.conclusion import conclusion_files
from trainstack.search.tracking.records import STUDY, key_of, tracked_run, tracked_study, version_of
from trainstack.search.tracking.trackers import Tracked, Tracker, without_secret
from trainstack.spaces.errors import StorageAwayError

log = logging.getLogger("trainstack.tracking")

# Runs that are read at once.
BATCH = 50


class TrackerAwayError(Exception):
    """The tracker cannot be reached, or refuses what it is sent."""


class Mirroring:
    """Mirrors a study to a tracker.

    Args:
        engine: The database.
        study: Name of the study.
        tracked: The tracker.
    """

    def __init__(self, engine: Engine, study: str, tracked: Tracked) -> None:
        self._engine, self._study, self._tracked = engine, study, tracked
        self._tracker: Tracker | None = None
        self._known: dict[str, str] = {}

    @property
    def count(self) -> int:
        """Number of the study's runs that the tracker has."""
        return len(self._known.keys() - {STUDY})

    def round(self) -> bool:
        """Add what is missing; return whether the study is concluded and all of it is there.

        Raises:
            StorageAwayError: The database does not answer.
            TrackerAwayError: The tracker does not; the next round begins anew.
        """
        with self._engine.connect() as connection:
            row = study_store.find(connection, self._study)
        try:
            if self._tracker is None:
                tracker = self._tracked.opened()
                self._known = tracker.open(tracked_study(row))
                self._tracker = tracker
            self._add_missing(row, self._tracker)
            return self._conclude(row, self._tracker)
        except StorageAwayError:
            raise
        except Exception as error:  # whatever a tracker's library raises
            self._tracker = None
            reason = " ".join(str(error).split()) or type(error).__name__
            raise TrackerAwayError(without_secret(reason)[:300]) from error

    def _add_missing(self, row: StudyRow, tracker: Tracker) -> None:
        mine = (tasks.c.study_id == row.study_id) & tasks.c.kind.in_([SEARCH, CONFIRMATION])
        ended = mine & (tasks.c.status == Status.DONE) & tasks.c.number.is_not(None)
        listed = (
            select(
                *(
                    tasks.c.task_id,
                    tasks.c.kind,
                    tasks.c.number,
                    tasks.c.outcome,
                    tasks.c.finished_at,
                )
            )
            .where(ended)
            .order_by(tasks.c.task_id)
        )
        with self._engine.connect() as connection:
            missing = [
                task_id
                for task_id, kind, number, outcome, at in connection.execute(listed)
                if self._known.get(key_of(kind, number)) != version_of(outcome, at)
            ]
        for first in range(0, len(missing), BATCH):
            some = tasks.c.task_id.in_(missing[first : first + BATCH])
            with self._engine.connect() as connection:
                rows = connection.execute(
                    select(tasks).where(some & ended).order_by(tasks.c.task_id)
                ).all()
            for run in map(tracked_run, map(task_of, rows)):
                tracker.add(run)
                self._known[run.key] = run.version

    def _conclude(self, row: StudyRow, tracker: Tracker) -> bool:
        """Add the conclusion once, and again after it was drawn anew."""
        if row.concluded_at is None:
            return False
        version = row.concluded_at.isoformat()
        if self._known.get(STUDY) != version:
            with tempfile.TemporaryDirectory() as folder:
                found = conclusion_files(self._engine, self._study, Path(folder))
                tracker.conclude(version, *found)
            self._known[STUDY] = version
        return True


def mirror(
    mirroring: Mirroring, pause: Callable[[float], bool], every: float = 2.0, longest: float = 30.0
) -> bool:
    """Mirror a study until it is concluded, or until told to stop; return whether all is there.

    Args:
        mirroring: The study and its tracker.
        pause: Waits for some seconds; returns False if it is time to stop after one more round.
        every: Seconds between two rounds.
        longest: Most seconds between two rounds while the tracker, or the database, is away.
    """
    going, wait, away = True, every, False
    while True:
        last = not going
        try:
            if mirroring.round():
                return True
            wait, away = every, False
        except (TrackerAwayError, StorageAwayError) as error:
            if not away:
                log.warning("%s; its runs are added later", error)
            wait, away = min(longest, 2 * wait), True
        if last:
            return not away
        going = pause(wait)
