"""A PostgreSQL server that can be made to crash."""

from __future__ import annotations

from pathlib import Path

import psutil

from trainstack.search.database import embedded_postgres
from trainstack.search.database.connection import parse_url


class Server:
    """A separate embedded server.

    Args:
        data: Its data folder; not below pytest's, which only we may pass through.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self.url = parse_url(embedded_postgres.hold(data))

    def _postmaster(self) -> psutil.Process:
        return psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))

    def crash(self) -> None:
        """End every process of the server at once."""
        postmaster = self._postmaster()
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=60)

    def restart(self) -> None:
        """Start it again under its old address."""
        assert parse_url(embedded_postgres.hold(self.data)) == self.url
