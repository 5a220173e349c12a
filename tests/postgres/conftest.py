"""One embedded PostgreSQL for all tests of this folder, a separate database for each."""

from tests.support.databases import database, server, url

__all__ = ["database", "server", "url"]
