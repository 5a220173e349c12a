"""One embedded PostgreSQL for all tests here, a database of its own for each."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, text

from search.fleet import embedded
from search.fleet.connect import engine, parse_url

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[URL]:
    """The URL of a running server."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "postgres"
        yield parse_url(embedded.hold(data))
        embedded.release(data)


@pytest.fixture
def url(server: URL) -> Iterator[URL]:
    """The URL of an empty database."""
    name = f"test_{next(_numbers)}"
    root = engine(server).execution_options(isolation_level="AUTOCOMMIT")
    with root.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name)
    with root.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    root.dispose()


@pytest.fixture
def database(url: URL) -> Iterator[Engine]:
    """An engine over an empty database."""
    here = engine(url)
    yield here
    here.dispose()
