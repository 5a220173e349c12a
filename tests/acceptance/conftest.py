"""A separate home; the home, database and finished study that most tests share are one level up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.shell import LAUNCH, Launched

__all__ = ["LAUNCH", "Launched", "fresh_home"]


@pytest.fixture
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unused home."""
    return tmp_path_factory.mktemp("fresh") / "home"
