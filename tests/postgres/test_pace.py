"""How long the latest runs took."""

from __future__ import annotations

import datetime

import pytest
from sqlalchemy import URL, Engine

from tests.support.studies import begun, completed
from trainstack.search.database.schema import tasks
from trainstack.search.queue import queries

pytestmark = pytest.mark.postgres

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)


def test_runs_that_a_worker_trained_at_once_share_its_time(url: URL, database: Engine) -> None:
    """Trials from 0 to 10, 1 to 12 and 20 to 26 s took 6 s each; before the first it is unknown."""
    here = begun(url, trials=4)
    assert queries.status(database, "s").run_seconds is None
    for start, end in ((0, 10), (1, 12), (20, 26)):
        lease = here.claim()
        assert lease is not None
        here.finish(lease, completed())
        times = {
            "claimed_at": NOON + datetime.timedelta(seconds=start),
            "finished_at": NOON + datetime.timedelta(seconds=end),
        }
        with database.begin() as connection:
            mine = tasks.c.task_id == lease.task_id
            connection.execute(tasks.update().where(mine).values(**times))
    assert queries.status(database, "s").run_seconds == pytest.approx((12 + 6) / 3)
