"""The files of a study's report: written where asked, and kept among the study's artifacts."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from trainstack.search.cli.common import err
from trainstack.spaces.errors import RequestError, TrainstackError

if TYPE_CHECKING:
    from trainstack.search.studies.conclusion import Conclusion


def write(conclusion: Conclusion, folder: Path) -> list[Path]:
    """Write the report into a folder; return the files.

    Raises:
        RequestError: The folder cannot be written.
    """
    from trainstack.search.report.write import write_report

    try:
        folder.mkdir(parents=True, exist_ok=True)
        return write_report(folder, conclusion.spec, conclusion.found, conclusion.runs)
    except OSError as error:
        reason = error.strerror or error
        raise RequestError(f"cannot write the report to {folder} ({reason})") from None


def has_report(study: str) -> bool:
    """Tell whether a study's report is here: it has concluded, unless it was reopened."""
    from trainstack.search.report_folder import report_folder

    with contextlib.suppress(OSError):
        return report_folder(study).is_dir()
    return False


def keep(conclusion: Conclusion) -> Path | None:
    """Write the report into the artifact store and return the local folder that holds it.

    Return None, after a warning, if there is no such folder.
    """
    from trainstack.search.artifacts import FolderStore, open_store, put
    from trainstack.search.database.connection import artifacts
    from trainstack.search.report_folder import report_folder, report_name

    study = conclusion.spec.study
    folder = report_folder(study)
    try:
        store = open_store(artifacts())
        paths = write(conclusion, folder)
    except TrainstackError as error:
        elsewhere = f"`trainstack report {shlex.quote(study)} -o FOLDER`"
        _warn(f"{error}; {elsewhere} writes it elsewhere")
        return None
    for path in paths if not isinstance(store, FolderStore) else ():
        try:
            put(store, f"{report_name(study)}/{path.name}", path)
        except OSError as error:
            _warn(f"the report is not in {store} ({error})")
            break
    return folder


def _warn(text: str) -> None:
    err().print(f"warning: {' '.join(text.split())}", markup=False, soft_wrap=True)
