"""One embedded PostgreSQL for all tests of a folder, a separate database for each."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, text

from trainstack.search.database import embedded_postgres
from trainstack.search.database.connection import disconnect, engine, parse_url


@pytest.fixture(scope="session")
def server() -> Iterator[URL]:
    """The URL of a running server."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "postgres"
        yield parse_url(embedded_postgres.hold(data))
        embedded_postgres.release(data)


@contextmanager
def fresh(server: URL) -> Iterator[URL]:
    """Make an empty database, and drop it afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    root = engine(server).execution_options(isolation_level="AUTOCOMMIT")
    with root.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name)
    disconnect()
    with root.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    root.dispose()


@pytest.fixture
def url(server: URL) -> Iterator[URL]:
    """The URL of an empty database."""
    with fresh(server) as url:
        yield url


@pytest.fixture
def database(url: URL) -> Iterator[Engine]:
    """An engine over an empty database."""
    here = engine(url)
    yield here
    here.dispose()
