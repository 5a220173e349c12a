"""`trainstack doctor`: check this machine and suggest fixes for what is missing."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

from trainstack.search.cli.common import AsJson, Storage, out, print_json
from trainstack.spaces.errors import RequestError, TrainstackError

LEAST_FREE_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        what: What was checked.
        ok: Whether nothing is missing that a search needs.
        found: What is there.
        fix: How to get what is missing, one line each; empty: nothing is missing.
    """

    what: str
    ok: bool
    found: str
    fix: str = ""


def doctor(as_json: AsJson = False, storage: Storage = None) -> None:
    """Check this machine: TensorFlow, devices, storage, data, disk.

    Each problem comes with a fix.

    Example: trainstack doctor --json
    """
    findings = [check(storage) for check in CHECKS]
    if as_json:
        print_json(findings)
        return
    console = out()
    for finding in findings:
        mark = "ok" if finding.ok else "--"
        console.print(f"{mark:<3}{finding.what:<16}{finding.found}", markup=False)
        for fix in finding.fix.splitlines():
            console.print(f"{'':<3}{fix}", markup=False)


def _python(storage: str | None) -> Finding:
    return Finding("Python", sys.version_info >= (3, 10), platform.python_version())


def _tensorflow(storage: str | None) -> Finding:
    from importlib.metadata import PackageNotFoundError, version

    versions = []
    for name in ("tensorflow", "keras"):
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return Finding("TensorFlow", False, f"no {name}", f"pip install {name}")
    return Finding("TensorFlow", True, ", ".join(versions))


def _devices(storage: str | None) -> Finding:
    from trainstack.search.cli.gpus import installed_gpus
    from trainstack.search.cli.local_workers import cores

    gpus = installed_gpus()
    found = f"{cores()} CPU cores, {len(gpus)} GPUs"
    fix = "" if gpus else "for GPUs: NVIDIA's driver, and pip install 'trainstack[gpu]'"
    return Finding("devices", True, found, fix)


def _storage(storage: str | None) -> Finding:
    from sqlalchemy import text

    from trainstack.search.database.connection import connected, redacted, storage_url

    try:
        url = storage_url(storage)
        with connected(url) as here, here.connect() as connection:
            version = connection.execute(text("show server_version")).scalar_one()
    except TrainstackError as error:
        return Finding("storage", False, error.problem, error.hint)
    where = "embedded" if "host" in url.query and not url.host else redacted(url)
    return Finding("storage", True, f"PostgreSQL {version}, {where}")


def _data(storage: str | None) -> Finding:
    there, missing = availability()
    fix = "\n".join(f"{name}: {how}" for name, how in missing.items())
    return Finding("data", True, ", ".join(there), fix)


def availability() -> tuple[list[str], dict[str, str]]:
    """Return the data sets on this machine, and how to get the others.

    Data sets are requested with a memory limit of 0, so files are found but not read.
    """
    from trainstack.search.data.catalogue import DATASETS

    there, missing = [], {}
    for name, row in DATASETS.items():
        try:
            row.load(0)
        except RequestError as error:
            if "is not on this machine" in error.problem:
                missing[name] = error.hint
                continue
        there.append(name)
    return there, missing


def _artifacts(storage: str | None) -> Finding:
    from trainstack.search.artifacts import open_store
    from trainstack.search.database.connection import artifacts

    try:
        store = open_store(artifacts())
        store.check()
    except TrainstackError as error:
        return Finding("artifacts", False, error.problem, error.hint)
    return Finding("artifacts", True, str(store))


def _disk(storage: str | None) -> Finding:
    from trainstack.search.database.connection import home

    folder = home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    enough = free >= LEAST_FREE_BYTES
    fix = "" if enough else "free some space, or set TRAINSTACK_HOME to a larger disk"
    return Finding("disk", enough, f"{free / 2**30:.0f} GiB free at {folder}", fix)


CHECKS: tuple[Callable[[str | None], Finding], ...] = (
    _python,
    _tensorflow,
    _devices,
    _storage,
    _data,
    _artifacts,
    _disk,
)
