"""One embedded PostgreSQL for all tests here, a database of its own for each."""

from tests.support.databases import database, server, url

__all__ = ["database", "server", "url"]
