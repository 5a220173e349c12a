"""One home folder, one embedded database and one finished study, shared by tests of the command."""

from __future__ import annotations

import fcntl
import gc
import json
import os
import signal
import subprocess
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.shell import LAUNCH, Launched, Shell


def pytest_configure() -> None:
    """Restore signals that `nohup` and a shell's `&` ignore; give examples no time limit.

    Tests interrupt their processes. On a busy machine Hypothesis's deadline is a timed assertion.
    """
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    settings.register_profile("untimed", settings.default, deadline=None)
    settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home shared by a test run; its database runs while any of its processes does."""
    from trainstack.search.database import embedded_postgres

    base = tmp_path_factory.getbasetemp()
    here = Shell((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "home")
    here.home.mkdir(exist_ok=True)
    embedded_postgres.hold(here.home / "postgres")
    yield here
    embedded_postgres.release(here.home / "postgres")


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home of the module with one waiting study, whose state does not change."""
    from trainstack.search.database import embedded_postgres

    here = Shell(tmp_path_factory.mktemp("quiet") / "home")
    here.home.mkdir()
    embedded_postgres.hold(here.home / "postgres")
    done = here.within("launch", "wine", "--study", "waiting", "--detach")
    assert done.returncode == 0, done.stderr
    yield here
    embedded_postgres.release(here.home / "postgres")


@dataclass(frozen=True)
class Ended:
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def digits(shell: Shell) -> Launched:
    """The finished `launch digits`, run by the first process that needs it."""
    with (shell.home / "digits.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Launched(shell, _launched(shell, shell.home / "digits.json"))


def _launched(shell: Shell, record: Path) -> Ended:
    """Return the recorded result of the launch; run and record it if there is none."""
    if record.is_file():
        return Ended(**json.loads(record.read_text("utf-8")))
    done: subprocess.CompletedProcess[str] = shell.run(*LAUNCH)
    assert done.returncode == 0, done.stderr
    ended = Ended(done.returncode, done.stdout, done.stderr)
    record.write_text(json.dumps(asdict(ended)), "utf-8")
    return ended


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that waits longest, so that other tests run meanwhile."""
    items.sort(key=lambda item: item.path.name != "test_ray.py")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from scanning the modules that the tests import, now and later.

    It would take a third of the imports' time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
