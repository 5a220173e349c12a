"""A separate home; the home, database and finished study that most tests share are one level up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import worker_here
from tests.support.shell import LAUNCH, Launched

__all__ = ["LAUNCH", "Launched", "fresh_home"]


@pytest.fixture
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unused home."""
    return tmp_path_factory.mktemp("fresh") / "home"


@pytest.fixture
def requests_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let verbs that are run in this process predict, replay and test in it, too."""
    worker_here.requests_here(monkeypatch)


@pytest.fixture
def workers_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands that are run in this process start neither workers nor other processes."""
    worker_here.everything_here(monkeypatch)
