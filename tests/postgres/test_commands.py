"""What a process or a command does once: connecting, loading its data, reading evidence."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from sqlalchemy import URL, Engine, event, text
from sqlalchemy.pool import Pool

from tests.support.studies import begun, spec_of, work_off
from trainstack.search.cli.main import run
from trainstack.search.data.load import load
from trainstack.search.database.connection import (
    ARTIFACTS,
    HOME,
    connected,
    disconnect,
    exported,
    shared_engine,
)
from trainstack.search.queue import queries
from trainstack.search.studies.actions import create_study

pytestmark = pytest.mark.postgres


@pytest.fixture
def connections() -> Iterator[list[str]]:
    """What has happened to connections of any engine since the test began."""
    seen: list[str] = []
    listeners = {name: (lambda *_, name=name: seen.append(name)) for name in ("connect", "close")}
    for name, listener in listeners.items():
        event.listen(Pool, name, listener)
    yield seen
    for name, listener in listeners.items():
        event.remove(Pool, name, listener)


def backend(url: URL) -> int:
    """Return the process of the server that answers."""
    with connected(url) as here, here.connect() as connection:
        return connection.execute(text("SELECT pg_backend_pid()")).scalar_one()


@pytest.mark.parametrize("verb", ["status", "trials", "workers", "pause"])
def test_a_command_connects_once(verb: str, url: URL, connections: list[str]) -> None:
    """All that a command asks goes over one connection, which is closed when it ends."""
    create_study(url, spec_of())
    disconnect()  # a command begins without connections
    connections.clear()
    assert run([verb, "s", "--storage", exported(url)]) == 0
    assert connections == ["connect", "close"]


def test_a_fork_has_connections_of_its_own(url: URL) -> None:
    """A forked process opens its own connection, and leaves its parent's as it is."""
    ours = backend(url)
    receives, sends = os.pipe()
    if not (child := os.fork()):
        os.write(sends, str(backend(url)).encode())
        os._exit(0)
    os.close(sends)
    with os.fdopen(receives) as answer:
        theirs = int(answer.read())
    assert os.waitpid(child, 0) == (child, 0)
    assert theirs != ours == backend(url)


def test_threads_share_an_engine(url: URL) -> None:
    """Threads that ask for the engine at the same time get the same one."""
    together, found = threading.Barrier(8), list[Engine]()

    def ask() -> None:
        together.wait()
        found.append(shared_engine(url))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


@pytest.mark.parametrize("flags", [[], ["--share-data"]])
def test_a_launch_loads_its_data_once(
    flags: list[str], url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launch loads its data once, and shares what it has loaded."""
    monkeypatch.setenv(HOME, str(tmp_path))
    monkeypatch.delenv(ARTIFACTS, raising=False)
    with mock.patch("trainstack.search.data.load.load", side_effect=load) as loading:
        launch = ["launch", "wine", "--detach", "--workers", "0", "--storage", exported(url)]
        assert run([*launch, *flags]) == 0
    assert loading.call_count == 1
    fingerprint = load("wine").fingerprint
    assert (tmp_path / "artifacts" / "data" / f"{fingerprint}.npz").exists() == bool(flags)


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_conclusion_reads_the_runs_once(
    flags: list[str], url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recommendation that is printed and its report come from one reading of the evidence."""
    monkeypatch.setenv(HOME, str(tmp_path))
    monkeypatch.delenv(ARTIFACTS, raising=False)
    assert work_off(begun(url)) == "concluded"
    with mock.patch.object(queries, "rows_of", side_effect=queries.rows_of) as reading:
        assert run(["recommend", "s", "--storage", exported(url), *flags]) == 0
    assert reading.call_count == 1
    assert list(tmp_path.rglob("report.html"))
