"""The documents about working workers, checked against the database."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, Engine

from docs.documents import DOCUMENTS
from tests.support.json_shapes import problems
from tests.support.studies import begun
from trainstack.search.json_values import json_safe
from trainstack.search.queue import queries

pytestmark = pytest.mark.postgres


def test_a_worker_at_work_matches_the_table(url: URL, database: Engine) -> None:
    """`status --json` and `workers --json` of a study with a running trial match the table."""
    begun(url).claim()
    found = json_safe(queries.status(database, "s"))
    assert found["workers"][0]["trial"] == 0
    for verb, document in (("status", found), ("workers", found["workers"])):
        (table,) = [d for d in DOCUMENTS if verb in d.verbs]
        assert problems(table, document) == []
