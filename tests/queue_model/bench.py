"""Connections of workers to one test database, and faults of their commits."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg2
from optuna.trial import FrozenTrial
from sqlalchemy import URL, Engine, create_engine

from tests.support.clock import Clock
from trainstack.search.database.connection import engine, engine_options
from trainstack.search.database.schema import ensure
from trainstack.search.sampling.optuna_storage import open_storage

# When a worker loses the database: before its transaction is committed, or before the reply.
BEFORE, AFTER = "before the commit", "after the commit"


class Line:
    """One worker's connection, which can break at a commit.

    Args:
        here: Its engine.
        says: The beginning of the error; SQLAlchemy connects anew for some.
    """

    def __init__(self, here: Engine, says: str = "server closed the connection") -> None:
        self.engine, self._says = here, says
        self._commit = self.engine.dialect.do_commit
        self.engine.dialect.do_commit = self._faulty  # type: ignore[method-assign]
        self._fault, self._at = "", 0

    def break_at(self, fault: str, commit: int = 1) -> None:
        """Break at the next commit, or at a later one; an empty `fault` mends the line."""
        self._fault, self._at = fault, commit

    def _faulty(self, connection: Any) -> None:
        self._at -= 1
        if not self._fault or self._at:
            self._commit(connection)
            return
        fault, self._fault = self._fault, ""
        if fault == AFTER:
            self._commit(connection)
        else:
            connection.rollback()
        raise psycopg2.OperationalError(f"{self._says} {fault}")


class OptunaCopy:
    """Optuna's storage, whose connection can break as well."""

    def __init__(self, here: Engine) -> None:
        self.storage = open_storage(here)
        self.line = Line(self.storage.engine, "no answer")
        # An export closes its connections, and the next one would open them anew.
        self.close = self.storage.engine.dispose
        self.storage.engine.dispose = lambda close=True: None  # type: ignore[method-assign]

    def trials(self, study: str) -> list[FrozenTrial]:
        """Return what it holds of a study."""
        return self.storage.get_all_trials(self.storage.get_study_id_from_name(study))


class Bench:
    """A database with its clock, the lines of workers, and one for the checks."""

    LINES = 3

    def __init__(self, url: URL) -> None:
        self.url, self.clock = url, Clock(url)
        self.engine: Engine = engine(url)
        ensure(self.engine)
        # Each of its reads sees what was committed before.
        watcher = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self.watching = watcher.connect()
        # Neither tested before use nor opened anew: this takes half of an operation's time.
        lasting = {**engine_options(url), "pool_pre_ping": False}
        self.lines = [Line(create_engine(url, **lasting), "no answer") for _ in range(self.LINES)]
        self.copy = OptunaCopy(self.engine)
        self.names = (f"s{number}" for number in itertools.count())

    def close(self) -> None:
        """Close every connection."""
        self.watching.close()
        self.copy.close()
        for here in (self.engine, *(line.engine for line in self.lines)):
            here.dispose()
