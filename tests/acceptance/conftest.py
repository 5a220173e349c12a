"""A separate home; the home, database and finished study that most tests share are one level up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.shell import LAUNCH, Launched
from tests.support.worker_here import answers_here
from trainstack.search.cli import predict, replay

__all__ = ["LAUNCH", "Launched", "fresh_home"]


@pytest.fixture
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unused home."""
    return tmp_path_factory.mktemp("fresh") / "home"


@pytest.fixture
def requests_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `predict` and `replay` predict and train in this process, if run in it."""
    for verb in (predict, replay):
        monkeypatch.setattr(verb, "answers", answers_here)
