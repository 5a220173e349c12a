"""A fleet for each test, over a separate database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.databases import database, server, url
from tests.support.fleet import Fleet

__all__ = ["database", "fleet", "server", "url"]


@pytest.fixture
def fleet(url: URL, tmp_path: Path) -> Iterator[Fleet]:
    """Real workers with simulated training; none is left running."""
    here = Fleet(url, tmp_path)
    yield here
    here.close()
