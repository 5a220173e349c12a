"""A voided confirmation run is trained again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import URL, Engine, update

from tests.support.studies import begun, completed, open_client
from trainstack.search.database.schema import tasks
from trainstack.search.evidence import race
from trainstack.search.queue.queries import runs
from trainstack.search.records import CONFIRMATION

pytestmark = pytest.mark.postgres


def test_a_voided_confirmation_run_is_asked_for_again(url: URL, database: Engine) -> None:
    """Its place waits again with the same stack and seed, and stores the new run's result."""
    begun(url, trials=1)
    here = open_client(url, judge=race)
    lease = here.claim()
    assert lease is not None
    here.finish(lease, completed())
    here.advance()
    lease = here.claim()
    assert lease is not None
    here.finish(lease, replace(completed(9.0), artifacts={"weights": "spoilt.npz"}))
    with database.begin() as connection:
        connection.execute(
            update(tasks).where(tasks.c.task_id == lease.task_id).values(outcome="voided")
        )
    planned = len(runs(database, "s", CONFIRMATION))
    here.advance()
    again = next(r for r in runs(database, "s", CONFIRMATION) if r.number == lease.number)
    assert (again.outcome, again.value, again.artifacts) == ("waiting", None, {})
    assert (again.stack, again.seed) == (lease.stack, lease.seed)
    assert len(runs(database, "s", CONFIRMATION)) == planned
    for _ in range(planned):
        if (lease := here.claim()) is not None:
            here.finish(lease, completed(0.25))
    done = next(r for r in runs(database, "s", CONFIRMATION) if r.number == again.number)
    assert (done.outcome, done.value, done.attempt) == ("completed", 0.25, 2)


def test_a_confirmation_with_a_voided_run_comes_to_its_end(url: URL, database: Engine) -> None:
    """The runs that end after a voided one waits again are judged, however many they are."""
    begun(url, trials=1)
    here = open_client(url)
    lease = here.claim()
    assert lease is not None
    here.finish(lease, completed())
    here.advance()
    leases = [here.claim() for _ in range(4)]
    for lease in leases[:3]:
        assert lease is not None
        here.finish(lease, completed())
    with database.begin() as connection:
        first = tasks.c.task_id == (leases[0] and leases[0].task_id)
        connection.execute(update(tasks).where(first).values(outcome="voided"))
    judge = here._judge
    assert judge is not None
    plan = judge.next_runs
    judge.next_runs = lambda spec, runs: plan(  # type: ignore[method-assign]
        spec, [run for run in runs if run.outcome != "voided"]
    )
    here.advance()
    for lease in (leases[3], here.claim()):
        assert lease is not None
        here.finish(lease, completed())
    here.advance()
    lease = here.claim()
    assert lease is not None
    assert lease.kind == "measurement"
