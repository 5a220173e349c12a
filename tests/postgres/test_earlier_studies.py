"""Concluded studies of a storage, as a new study sees them."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, Engine, update

from tests.support.studies import DATA, completed, open_client, spec_of
from trainstack.search.database.schema import ensure, studies
from trainstack.search.evidence.earlier_studies import EarlierStudy
from trainstack.search.queue.earlier_studies import earlier_studies
from trainstack.search.records import Result
from trainstack.search.studies.actions import create_study
from trainstack.spaces.references import CHAPTER_DEFAULT

pytestmark = pytest.mark.postgres


def concluded(url: URL, name: str) -> None:
    """A study of one trial, to its end."""
    create_study(url, spec_of(name, trials=1, replicates=0))
    here = open_client(url, name)
    while (lease := here.claim()) is not None:
        here.finish(lease, Result("completed") if lease.number is None else completed(0.5))
        here.advance()
    assert here.advance() == "concluded"


def test_concluded_studies_are_found_the_latest_first(url: URL, database: Engine) -> None:
    """Only a study that has recommended a stack counts, with its data and that stack."""
    ensure(database)
    assert earlier_studies(database) == []
    for name in ("one", "two"):
        concluded(url, name)
    create_study(url, spec_of("running"))
    found = earlier_studies(database)
    assert found == [EarlierStudy(name, DATA, CHAPTER_DEFAULT) for name in ("two", "one")]


def test_what_another_version_wrote_is_left_out(url: URL, database: Engine) -> None:
    """A study whose data this version cannot read does not count, and harms nothing."""
    concluded(url, "one")
    spec = spec_of("one", trials=1, replicates=0).to_json()
    spec["data"]["colour"] = "blue"
    with database.begin() as connection:
        connection.execute(update(studies).values(spec=spec))
    assert earlier_studies(database) == []
