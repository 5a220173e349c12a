"""Workers that start while the database is unavailable."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.fake_bench import fake
from tests.support.fleet import PATIENCE_SECONDS, Fleet
from tests.support.postgres_server import Server
from tests.support.shell import Shell
from trainstack.search.database import embedded_postgres, retry
from trainstack.search.database.connection import STORAGE, exported
from trainstack.spaces.errors import StorageAwayError

pytestmark = [pytest.mark.fleet, pytest.mark.postgres]


def test_started_while_away(tmp_path: Path) -> None:
    """A worker waits for the database and then works; without time it exits 3 in one line."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "home" / "postgres")
        fleet = Fleet(server.url, tmp_path)
        try:
            fleet.create(trials=1, epochs=2)
            server.crash()
            hasty = fleet.join("--start-timeout=0")
            assert hasty.wait(PATIENCE_SECONDS) == 3
            (line,) = fleet.log(hasty).splitlines()
            assert line.startswith("trainstack: no answer from ")
            worker = fleet.join("--start-timeout=600")
            until = time.monotonic() + PATIENCE_SECONDS
            while "trying again" not in fleet.log(worker):
                assert time.monotonic() < until
                time.sleep(0.05)
            server.restart()
            assert fleet.concluded()["counts"]["completed"] == 1
            assert worker.returncode == 0
        finally:
            fleet.close()
            embedded_postgres.release(server.data)


def test_modules_of_the_same_names(fleet: Fleet, url: URL, tmp_path: Path) -> None:
    """Workers start in a folder with modules named as ours, or as one of Python's own."""
    for name in ("workers", "spaces"):
        (tmp_path / name).mkdir()
        for file in ("__init__.py", "__main__.py"):
            (tmp_path / name / file).write_text("raise SystemExit(7)", "utf-8")
    for file in ("search.py", "decimal.py"):
        (tmp_path / file).write_text("raise SystemExit(7)", "utf-8")
    fleet.create(trials=1, epochs=2)
    canned = fake(epoch_seconds=0.01)
    shell = Shell(tmp_path / "home", {STORAGE: exported(url), **canned})
    done = shell.run("worker", "s", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert fleet.status()["counts"]["completed"] == 1


def test_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses double up to a bound, are randomized, and end with the available time."""
    now, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    def away() -> None:
        raise StorageAwayError("gone")

    monkeypatch.setattr(retry.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(retry.time, "sleep", sleep)
    with pytest.raises(StorageAwayError):
        retry.patiently(away, 60.0)
    assert now[0] == pytest.approx(60.0)
    longest = [min(0.5 * 2**k, 10.0) for k in range(len(pauses))]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses[:-1], longest, strict=False))
    pauses.clear()
    with pytest.raises(StorageAwayError):
        retry.patiently(away, 0.0)
    assert pauses == []
