"""Where a study's report is kept."""

from __future__ import annotations

from pathlib import Path

from trainstack.search.artifact_names import folder_of
from trainstack.search.database.connection import artifacts, home

# Folder of a report among a study's artifacts.
REPORT = "report"


def report_name(study: str) -> str:
    """Return the name of a report's folder in the artifact store."""
    return f"{folder_of(study)}/{REPORT}"


def report_folder(study: str) -> Path:
    """Return the local folder of a study's report.

    That of an object store is kept in the home folder too.
    """
    store = artifacts()
    return (home() / "artifacts" if "://" in store else Path(store)) / report_name(study)
