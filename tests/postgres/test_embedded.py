"""The embedded server, shared by processes that come, go and are killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from trainstack.search.database import embedded_postgres
from trainstack.search.database.connection import engine, parse_url
from trainstack.spaces.errors import RequestError

pytestmark = pytest.mark.postgres
# Prints `ready`, then holds the server until it receives a line (or is killed).
_HOLDER = """
import sys
from pathlib import Path
from trainstack.search.database import embedded_postgres
print(embedded_postgres.hold(Path(sys.argv[1])), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder in a home with a space in its name; no server is left in it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "the home" / "postgres"
        yield place
        embedded_postgres.release(place)
        if (pid := server_pid(place)) is not None:
            psutil.Process(pid).terminate()
            psutil.Process(pid).wait(20)


def holder(data: Path) -> subprocess.Popen[str]:
    """Start a process that holds the server, without waiting for it."""
    command = [sys.executable, "-c", _HOLDER, str(data)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ready(process: subprocess.Popen[str]) -> str:
    """Wait until it holds the server; return the server's URL."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line.startswith("postgresql+psycopg2://"), process.stderr and process.stderr.read()
    return line


def let_go(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def server_pid(data: Path) -> int | None:
    """Return the process id of the server over the folder, if one runs."""
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return None
    pid = int(pid_file.read_text().split()[0])
    running = psutil.pid_exists(pid) and psutil.Process(pid).name() == "postgres"
    return pid if running else None


def ask(url: str, query: str = "SELECT 1") -> object:
    here = engine(parse_url(url))
    try:
        with here.connect() as connection:
            return connection.execute(text(query)).scalar()
    finally:
        here.dispose()


def test_many_start_at_once_last_one_stops(data: Path) -> None:
    """Processes that start together share one server; the last to leave stops it."""
    processes = [holder(data) for _ in range(4)]
    assert len({ready(process) for process in processes}) == 1
    pid = server_pid(data)
    for process in processes:
        assert server_pid(data) == pid is not None
        let_go(process)
    assert server_pid(data) is None


def test_killed_holder_is_not_counted(data: Path) -> None:
    """A killed process no longer counts: the next to leave stops the server."""
    killed, other = holder(data), holder(data)
    url = ready(killed)
    ready(other)
    killed.kill()
    killed.wait()
    assert ask(url) == 1
    let_go(other)
    assert server_pid(data) is None


def test_interrupt_of_the_group_spares_the_server(data: Path) -> None:
    """Ctrl-C reaches the whole process group except the server."""
    command = [sys.executable, "-c", _HOLDER, str(data)]
    starter = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    url = ready(starter)
    other = holder(data)
    ready(other)
    os.killpg(starter.pid, signal.SIGINT)
    starter.communicate(timeout=60)
    assert ask(url) == 1
    let_go(other)
    assert server_pid(data) is None


def test_crashed_server_comes_back(data: Path) -> None:
    """After a crash that leaves postmaster.pid, the same URL answers again with the same data."""
    url = embedded_postgres.hold(data)
    ask(url, "CREATE TABLE kept AS SELECT 7 AS n; SELECT 1")
    with engine(parse_url(url)).begin() as connection:
        connection.execute(text("SET LOCAL synchronous_commit = on"))
        connection.execute(text("CREATE TABLE kept AS SELECT 7 AS n"))
    pid = server_pid(data)
    assert pid is not None
    children = psutil.Process(pid).children()
    psutil.Process(pid).kill()
    psutil.wait_procs(children, timeout=20)
    assert (data / "postmaster.pid").exists()
    assert embedded_postgres.hold(data) == url
    assert ask(url, "SELECT n FROM kept") == 7


def test_pid_file_of_a_stranger(data: Path) -> None:
    """A stale postmaster.pid with the id of an unrelated living process is not misinterpreted."""
    url = embedded_postgres.hold(data)
    lines = (data / "postmaster.pid").read_text()
    embedded_postgres.release(data)
    stale = re.sub(r"^\d+", str(os.getpid()), lines)
    (data / "postmaster.pid").write_text(stale)
    assert embedded_postgres.hold(data) == url
    assert ask(url) == 1


def test_initdb_cut_short(data: Path) -> None:
    """The remains of a killed initdb are removed."""
    rest = data.parent / f"{data.name}.new"
    rest.mkdir(parents=True)
    (rest / "PG_VERSION").write_text("18\n")
    assert ask(embedded_postgres.hold(data)) == 1


def test_long_path(data: Path) -> None:
    """A home with too long a path for a socket works through a private folder."""
    deep = data.parent / ("d" * 60) / ("e" * 60) / "postgres"
    url = embedded_postgres.hold(deep)
    try:
        assert ask(url) == 1
        folder = Path(str(parse_url(url).query["host"]))
        assert folder.stat().st_mode & 0o077 == 0
    finally:
        embedded_postgres.release(deep)


def test_home_that_cannot_be(tmp_path: Path) -> None:
    """A home that is a file gives one clear line and no traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="TRAINSTACK_HOME") as refused:
        embedded_postgres.hold(tmp_path / "file" / "postgres")
    assert "\n" not in str(refused.value)


def test_folder_with_other_things(tmp_path: Path) -> None:
    """A folder with unrelated files is refused and left unchanged."""
    place = tmp_path / "postgres"
    place.mkdir()
    (place / "thesis.txt").write_text("years")
    with pytest.raises(RequestError):
        embedded_postgres.hold(place)
    assert (place / "thesis.txt").read_text() == "years"
