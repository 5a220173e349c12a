"""A home of its own; the home, database and finished study that most tests share are above."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.shell import LAUNCH, Launched

__all__ = ["LAUNCH", "Launched", "fresh_home"]


@pytest.fixture(scope="session")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that nothing was put into."""
    return tmp_path_factory.mktemp("fresh") / "home"
