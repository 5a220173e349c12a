"""The copy of a study's search trials in Optuna's storage, for Optuna's tools.

The fleet's tables are authoritative, and workers never wait for the copy. Every process that works
on a study exports in a thread; they take turns. A round compares Optuna's storage with the fleet's
tables, so it needs no memory, and a crash within a round is made up for by the next one.
"""

from __future__ import annotations

import bisect
import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

# Optuna imports it when a storage is opened, in a thread; queries of other threads would then fail.
import sqlalchemy.orm  # noqa: F401
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, func, select, true, tuple_, update
from sqlalchemy.sql import ColumnElement

from trainstack.search.database.connection import guarded
from trainstack.search.database.schema import studies, tasks
from trainstack.search.queue.rows import StudyRow, study_of
from trainstack.search.queue.search_trials import read_trials
from trainstack.search.queue.study_store import change
from trainstack.search.records import SEARCH, Status
from trainstack.search.sampling.optuna_storage import ensure_study, open_storage
from trainstack.search.sampling.optuna_trials import TrialConverter
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import StorageAwayError

log = logging.getLogger("trainstack.export")

# Least interval between two rounds, over all processes together: of the process that launched the
# study, and of its workers, which export where there is none or it falls behind.
EVERY_SECONDS, WORKERS_EVERY_SECONDS = 2.0, 4.0
# A process that leaves waits at most this long for its last round.
LAST_SECONDS = 5.0
# Most new trials per round, which holds a transaction open.
BATCH = 50
# Key of the advisory lock that a round holds, beside the study's id.
_EXPORTING = 719_240


class OptunaExport:
    """Exports the search trials of a study.

    Args:
        engine: The database.
        study: Name of the study.
    """

    def __init__(self, engine: Engine, study: str) -> None:
        self._engine, self._study = engine, study
        self._storage: RDBStorage | None = None

    def run_if_due(self, every_seconds: float = 0.0) -> bool | None:
        """Export changes, unless a process did so within `every_seconds` or is doing it.

        Returns:
            Whether there is more to export at once; None if nothing was done.

        Raises:
            StorageAwayError: The database does not answer.
        """
        with guarded(self._engine.url), self._engine.begin() as connection:
            age = func.extract("epoch", func.now() - studies.c.exported_at)
            # Negative after the database's clock has been set back.
            due = (age >= every_seconds) | (age < 0.0) | age.is_(None)
            named = studies.c.name == self._study
            found = connection.execute(select(studies).where(named, due)).first()
            if found is None or not connection.scalar(select(lock_of(found.study_id))):
                return None
            study = study_of(found)
            last = connection.scalar(
                select(func.max(tasks.c.number)).where(_pending(study.study_id))
            )
            # The first round creates the copy, although no trial has begun.
            if last is None and study.exported_at is not None:
                return None
            if self._storage is None:
                self._storage = open_storage(self._engine)
            try:
                return _Round(self._storage, connection, study, -1 if last is None else last).run()
            finally:
                # A fleet of exporting processes would otherwise hold idle connections.
                self._storage.engine.dispose()

    def finish(self) -> None:
        """Export every trial that has ended, unless another process is doing it.

        Raises:
            StorageAwayError: The database does not answer.
        """
        # A trial that ends during a round is seen after it: its worker may have found this process
        # exporting, and left.
        while (more := self.run_if_due()) is not None:
            if not more and not self._ended_left():
                return

    def _ended_left(self) -> bool:
        named = studies.c.name == self._study
        mine = select(studies.c.study_id).where(named).scalar_subquery()
        ended = select(tasks.c.task_id).where(_pending(mine), tasks.c.status == Status.DONE)
        with guarded(self._engine.url), self._engine.connect() as connection:
            return connection.execute(ended.limit(1)).first() is not None


def lock_of(study_id: int) -> ColumnElement[bool]:
    """Return the call that takes a study's lock for exporting, or returns false if it is taken."""
    return func.pg_try_advisory_xact_lock(_EXPORTING, study_id)


def _pending(study_id: Any) -> ColumnElement[bool]:
    """Return the condition that a search trial's copy is missing or may be incomplete."""
    mine = (tasks.c.study_id == study_id) & (tasks.c.kind == SEARCH)
    return mine & ~tasks.c.exported & tasks.c.number.is_not(None)


class _Round:
    """One round of the export, whose transaction holds the study's lock for exporting.

    Args:
        storage: Optuna's storage.
        connection: The transaction.
        study: The study's row.
        last: The greatest number of a pending trial; -1 if there is none.
    """

    def __init__(
        self, storage: RDBStorage, connection: Connection, study: StudyRow, last: int
    ) -> None:
        self._storage, self._connection = storage, connection
        self._study, self._last = study, last
        self._spec = StudySpec.from_json(study.spec)
        self._converter = TrialConverter(self._spec)

    def run(self) -> bool:
        """Export a batch; return whether there is more."""
        self._copy_id = ensure_study(self._storage, self._spec)
        # Optuna numbers trials by their creation, so they are created in the order of our numbers.
        count = bisect.bisect_left(range(self._last + 1), True, key=self._is_missing)
        within = tasks.c.number <= min(self._last, count + BATCH - 1)
        trials = read_trials(
            self._connection, self._study.study_id, _pending(self._study.study_id), within
        )
        new = [trial for trial in trials if trial.number >= count]
        if [trial.number for trial in new] != list(range(count, count + len(new))) or (
            not new and count <= self._last
        ):
            return self._start_again()  # exported trials were deleted with Optuna's tools
        unfinished = (TrialState.RUNNING, TrialState.WAITING)
        copies = self._storage.get_all_trials(self._copy_id, deepcopy=False, states=unfinished)
        known = {copy.number: copy for copy in copies}
        for trial in trials:
            frozen = self._converter.frozen(trial)
            if trial.number >= count:
                self._storage.create_new_trial(self._copy_id, template_trial=frozen)
            elif trial.number in known:
                self._update(frozen, known[trial.number])
            elif not self._is_complete(frozen):
                return self._start_again()  # it was voided, or queued again, after it had ended
        ended = [(t.task_id, t.attempts, t.outcome) for t in trials if t.status == Status.DONE]
        # A trial may have been voided, or attempted again, since it was read.
        same = tuple_(tasks.c.task_id, tasks.c.attempts, tasks.c.outcome).in_(ended)
        self._mark(same, True)
        return count + len(new) <= self._last

    def _mark(self, which: ColumnElement[bool], exported: bool) -> None:
        """Mark search trials as exported or not, at the end of the round.

        Only here, and briefly, does the round lock rows that claims need.
        """
        change(self._connection, self._study.study_id, exported_at=func.clock_timestamp())
        mine = (tasks.c.study_id == self._study.study_id) & (tasks.c.kind == SEARCH)
        self._connection.execute(update(tasks).where(mine, which).values(exported=exported))

    def _id_of(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._copy_id, number)

    def _is_missing(self, number: int) -> bool:
        try:
            self._id_of(number)
        except KeyError:
            return True
        return False

    def _is_complete(self, trial: FrozenTrial) -> bool:
        """Return whether the copy of a trial has ended as the trial did."""
        copy = self._storage.get_trial(self._id_of(trial.number))
        return (copy.state, copy.values) == (trial.state, trial.values)

    def _update(self, trial: FrozenTrial, copy: FrozenTrial) -> None:
        """Write what a trial has and its unfinished copy lacks.

        Losses of an earlier attempt at later steps stay, as Optuna cannot remove them.
        """
        storage = self._storage
        trial_id = self._id_of(trial.number)
        for name, domain in trial.distributions.items():
            if name not in copy.params:
                internal = domain.to_internal_repr(trial.params[name])
                storage.set_trial_param(trial_id, name, internal, domain)
        for name, value in trial.user_attrs.items():
            if copy.user_attrs.get(name) != value:
                storage.set_trial_user_attr(trial_id, name, value)
        for name, value in trial.system_attrs.items():
            if copy.system_attrs.get(name) != value:
                storage.set_trial_system_attr(trial_id, name, value)
        for step, loss in trial.intermediate_values.items():
            if repr(copy.intermediate_values.get(step)) != repr(loss):  # NaN equals NaN
                storage.set_trial_intermediate_value(trial_id, step, loss)
        if trial.state != copy.state:
            storage.set_trial_state_values(trial_id, trial.state, trial.values)

    def _start_again(self) -> bool:
        """Replace the Optuna study by an empty one with the same attributes.

        Optuna has no other way to change a trial that has ended.
        """
        storage, name = self._storage, self._spec.study
        users = storage.get_study_user_attrs(self._copy_id)
        systems = storage.get_study_system_attrs(self._copy_id)
        storage.delete_study(self._copy_id)
        copy_id = storage.create_new_study([StudyDirection.MINIMIZE], name)
        for key, value in users.items():
            storage.set_study_user_attr(copy_id, key, value)
        for key, value in systems.items():
            storage.set_study_system_attr(copy_id, key, value)
        self._mark(true(), False)
        return True


class Exporting:
    """Exports a study in a background thread while the context lasts, and to the end.

    Args:
        engine: The database.
        study: Name of the study.
        every_seconds: Least interval between two rounds, over all processes together.
    """

    def __init__(self, engine: Engine, study: str, every_seconds: float = EVERY_SECONDS) -> None:
        self._export, self._every_seconds = OptunaExport(engine, study), every_seconds
        self._reported = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="export")

    def __enter__(self) -> Exporting:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(LAST_SECONDS)

    def _follow(self) -> None:
        interval, pause = self._every_seconds, 0.0
        while not self._over.wait(pause):
            began = time.monotonic()
            more = self._attempt(functools.partial(self._export.run_if_due, interval))
            # A rush is caught up with in rounds that take at most half of the time.
            interval = 0.0 if more else self._every_seconds
            pause = max(interval, time.monotonic() - began)
        self._attempt(self._export.finish)

    def _attempt(self, work: Callable[[], bool | None]) -> bool | None:
        """Work without raising: an error here must not end the search."""
        try:
            return work()
        except StorageAwayError:
            return None  # others report it; a later round catches up
        except Exception as error:
            if str(error) != self._reported:
                log.warning("trials were not exported to Optuna's storage: %s", error)
                self._reported = str(error)
            return None
