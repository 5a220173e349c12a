"""One home folder, one embedded database and one finished study for most tests here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from search.fleet import embedded

from .commands import Shell

LAUNCH = (
    *("launch", "digits", "--trials", "6", "--epochs", "5"),
    *("--workers", "2", "--replicates", "2", "--space", "quick"),
)


@dataclass(frozen=True)
class Launched:
    """A study that was launched to its end, and what the launch said."""

    shell: Shell
    done: Any


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home whose database stays up while tests run, so that no command pays for its start."""
    here = Shell(tmp_path_factory.mktemp("home"))
    embedded.hold(here.home / "postgres")
    yield here
    embedded.release(here.home / "postgres")


@pytest.fixture(scope="session")
def digits(shell: Shell) -> Launched:
    """`launch digits`, finished."""
    done = shell.run(*LAUNCH)
    assert done.returncode == 0, done.stderr
    return Launched(shell, done)


@pytest.fixture(scope="session")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that nothing was put into."""
    return tmp_path_factory.mktemp("fresh") / "home"
