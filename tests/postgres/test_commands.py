"""What a command does once: loading its data."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
from sqlalchemy import URL

from trainstack.search.cli.main import run
from trainstack.search.data.load import load
from trainstack.search.database.connection import ARTIFACTS, HOME, exported

pytestmark = pytest.mark.postgres


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
