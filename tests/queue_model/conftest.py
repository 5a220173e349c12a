"""A database whose clock only tests move, on a server that need not survive a power cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import URL, text

from tests.queue_model.bench import Bench
from tests.support.databases import database, fresh, server
from trainstack.search.database.connection import engine

__all__ = ["database", "server"]
_SETTINGS = (
    "fsync = off",
    "full_page_writes = off",
    # A plan, and so the order in which it finds rows, does not change from one run to the next.
    "autovacuum = off",
    # The scheduler of transactions looks for deadlocks itself.
    "deadlock_timeout = '1h'",
)


@pytest.fixture
def url(server: URL) -> Iterator[URL]:
    """The URL of an empty database on a server that does not wait for the disk."""
    root = engine(server).execution_options(isolation_level="AUTOCOMMIT")
    with root.connect() as connection:
        for setting in _SETTINGS:
            connection.execute(text(f"ALTER SYSTEM SET {setting}"))
        connection.execute(text("SELECT pg_reload_conf()"))
    root.dispose()
    with fresh(server) as url:
        yield url


@pytest.fixture
def bench(url: URL) -> Iterator[Bench]:
    """Connections for workers, and the clock."""
    here = Bench(url)
    yield here
    here.close()
