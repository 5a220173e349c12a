"""Selection of the database, the connection, and the error if it does not answer."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, text

from tests.support.studies import CARD, open_client, spec_of
from trainstack.search.database import connection
from trainstack.search.studies.actions import create_study
from trainstack.search.studies.worker_client import WorkerClient
from trainstack.spaces.errors import RequestError, StorageAwayError

pytestmark = pytest.mark.postgres
SECRET = "s3cr3t-word"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_driver_is_named(scheme: str) -> None:
    """The URL names the installed driver, however the user wrote it."""
    url = connection.storage_url(f"{scheme}://me:{SECRET}@db:5433/base?sslmode=require")
    assert url.drivername == "postgresql+psycopg2"
    assert (url.host, url.port, url.database, url.password) == ("db", 5433, "base", SECRET)
    assert dict(url.query) == {"sslmode": "require"}


@pytest.mark.parametrize(
    "text",
    [
        f"sqlite:///{SECRET}.db",
        f"mysql://me:{SECRET}@db/base",
        f"postgresql+psycopg://me:{SECRET}@db/base",
        f"journal-{SECRET}.log",
        f"postgresql://me:{SECRET}@db:port/base",
    ],
)
def test_other_storages_are_refused(text: str) -> None:
    """Storages other than PostgreSQL are refused in one line without a password."""
    with pytest.raises(RequestError) as refused:
        connection.storage_url(text)
    assert refused.value.exit_code == 2
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_flag_wins_over_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """--storage wins over TRAINSTACK_STORAGE."""
    monkeypatch.setenv(connection.STORAGE, "postgresql://db/environment")
    assert connection.storage_url("postgresql://db/flag").database == "flag"
    assert connection.storage_url(None).database == "environment"


def test_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Artifacts are in the home unless a folder or an object store is given."""
    monkeypatch.setenv(connection.HOME, str(tmp_path))
    monkeypatch.delenv(connection.ARTIFACTS, raising=False)
    assert connection.artifacts() == str(tmp_path / "artifacts")
    monkeypatch.setenv(connection.ARTIFACTS, "s3://bucket/prefix")
    assert connection.artifacts() == "s3://bucket/prefix"


def test_passwords_are_not_shown() -> None:
    """A password is removed from every place in the URL, including its query."""
    shown = connection.redacted(
        f"postgresql://me:{SECRET}@db/base?password={SECRET}&sslmode=require"
    )
    assert shown == "postgresql://me@db/base"
    shown = connection.redacted(f"postgresql://me:{SECRET}@db/base?sslmode=require")
    assert shown == "postgresql://me@db/base?sslmode=require"
    url = connection.storage_url(f"postgresql://me:{SECRET}@db/base")
    assert SECRET not in repr(url) + str(url) + repr(connection.engine(url))
    assert connection.exported(url) == f"postgresql+psycopg2://me:{SECRET}@db/base"


def test_no_server_answers() -> None:
    """A port where nothing listens gives a StorageAwayError without the password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"postgresql://me:{SECRET}@127.0.0.1:{port}/base"
    for reach in (
        lambda: WorkerClient.open(url, "s", CARD),
        lambda: create_study(url, spec_of()),
    ):
        with pytest.raises(StorageAwayError, match=f"me@127.0.0.1:{port}/base") as away:
            reach()
        assert away.value.exit_code == 3
        assert SECRET not in str(away.value)
        assert "\n" not in str(away.value)


def test_dropped_connections_are_replaced(url: URL, database: Engine) -> None:
    """A client replaces connections closed by the server."""
    create_study(url, spec_of())
    here = open_client(url)
    assert here.claim() is not None
    with database.connect() as connection:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        connection.execute(
            text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        )
    assert here.claim() is not None


def test_no_password_in_any_row(url: URL, database: Engine) -> None:
    """A study's life leaves no password in any table."""
    with database.begin() as connection:
        connection.execute(text(f"CREATE ROLE worker_a LOGIN SUPERUSER PASSWORD '{SECRET}'"))
    secret = url.set(username="worker_a", password=SECRET)
    try:
        create_study(secret, spec_of())
        here = open_client(secret)
        lease = here.claim()
        assert lease is not None
        here.give_back(lease, "trainer died")
        here.leave()
        assert SECRET not in repr(here) + repr(lease) + repr(vars(here))
        with database.connect() as connection:
            names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            tables = connection.execute(text(names)).scalars().all()
            assert "trainstack_tasks" in tables
            for table in tables:
                assert SECRET not in repr(connection.execute(text(f"SELECT * FROM {table}")).all())
    finally:
        with database.begin() as connection:
            connection.execute(text("REASSIGN OWNED BY worker_a TO postgres"))
            connection.execute(text("DROP OWNED BY worker_a"))
            connection.execute(text("DROP ROLE worker_a"))
