"""Placement of workers on Ray: cluster, resources and environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import quote

from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    from sqlalchemy import URL

MOST_CPUS = 1024
# Prefixes of variables passed to the workers: trainstack's, libpq's and the object store's. STAYING
# lists exceptions, which name files or folders of this machine.
HANDED_OVER = ("TRAINSTACK_", "PG", "AWS_")
STAYING = (
    "TRAINSTACK_HOME",
    "PGPASSFILE",
    "PGSERVICEFILE",
    "PGSYSCONFDIR",
    "PGSSLCERT",
    "PGSSLKEY",
)
STAYING += ("PGSSLROOTCERT", "PGSSLCRL", "PGDATA")
STAYING += ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_PROFILE")


@dataclass(frozen=True)
class OnRay:
    """A Ray cluster and the resources of each worker.

    Attributes:
        address: `HOST:PORT` or `ray://HOST:PORT`; empty: the cluster that Ray finds by itself.
        cpus: CPUs per worker, more than 0.
        gpus: GPUs per worker, from 0 to 1.
    """

    address: str
    cpus: float
    gpus: float

    @property
    def kind(self) -> str:
        """Prefix of the actors' names."""
        return f"{self.cpus:g}cpu" + (f"-{self.gpus:g}gpu" if self.gpus else "")

    @property
    def threads(self) -> int:
        """Number of training threads per worker."""
        return max(1, int(self.cpus))


def on_ray(flag: str | None, cpus: float | None, gpus: float | None) -> OnRay | None:
    """Parse `--on`, `--cpus-per-worker` and `--gpus-per-worker`; None: workers on this machine.

    Raises:
        RequestError: A value is invalid, or Ray is not installed.
    """
    if flag is None:
        for name, value in (("--cpus-per-worker", cpus), ("--gpus-per-worker", gpus)):
            if value is not None:
                raise RequestError(f"{name} without --on", "--on ray or --on ray=ADDRESS")
        return None
    engine, equals, address = flag.partition("=")
    if engine != "ray" or (equals and not address):
        hint = "for other engines see docs/how-to/choose-an-engine.md"
        raise RequestError(f"--on {flag!r}", "ray or ray=ADDRESS", hint)
    cpus, gpus = 1.0 if cpus is None else cpus, 0.0 if gpus is None else gpus
    if not 0 < cpus <= MOST_CPUS:
        raise RequestError(f"--cpus-per-worker {cpus:g}", f"more than 0, at most {MOST_CPUS}")
    if not 0 <= gpus <= 1:
        raise RequestError(
            f"--gpus-per-worker {gpus:g}", "from 0 to 1: a worker trains on one GPU at most"
        )
    if find_spec("ray") is None:
        raise RequestError("--on ray: Ray is not installed", hint="pip install 'trainstack[ray]'")
    return OnRay(address, round(cpus, 4), round(gpus, 4))


def namespace(url: URL, study: str) -> str:
    """Return the namespace of a study's actors, unique even among studies of the same name.

    Raises:
        StorageAwayError: The database does not answer.
        StudyError: There is no such study.
    """
    from trainstack.search.database.connection import connected
    from trainstack.search.queue.study_store import find

    with connected(url) as here, here.connect() as connection:
        row = find(connection, study)
    return f"trainstack-{quote(study, safe='')}-{row.study_id}-{row.created_at.timestamp():.6f}"


def handed_over(url: URL) -> dict[str, str]:
    """Return the environment for workers: access to storage and artifacts."""
    from trainstack.search.database.connection import ARTIFACTS, HOME, STORAGE, exported, home

    found = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(HANDED_OVER) and name not in STAYING
    }
    found[STORAGE] = exported(url)
    if is_embedded(url):  # all nodes are on this machine and share its database and artifacts
        found[HOME] = str(home())
    elif ARTIFACTS in found and "://" not in found[ARTIFACTS]:
        found[ARTIFACTS] = os.path.abspath(os.path.expanduser(found[ARTIFACTS]))
    return found


def is_embedded(url: URL | str | None) -> bool:
    """Return whether a storage is reachable only by a socket of this machine."""
    from trainstack.search.database.connection import parse_url

    if url is None:
        return True
    parsed = parse_url(url) if isinstance(url, str) else url
    host = parsed.host or parsed.query.get("host") or os.environ.get("PGHOST", "")
    return not host or str(host).startswith("/")
