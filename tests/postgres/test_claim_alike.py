"""Claiming several confirmation runs that are trained at once."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, Engine

from tests.support.studies import agrees, begun, completed, open_client, work_off
from trainstack.search.queue.queries import runs
from trainstack.search.records import CONFIRMATION
from trainstack.search.studies.worker_client import INTERRUPTED, Lease, WorkerClient
from trainstack.spaces.stack import Stack

pytestmark = pytest.mark.postgres


def same(one: Stack, other: Stack) -> bool:
    return one == other


def confirming(url: URL, replicates: int = 5) -> tuple[WorkerClient, Lease]:
    """Return the only worker of a study that confirms, with the first run leased."""
    here = begun(url, trials=1, replicates=replicates)
    lease = here.claim()
    assert lease is not None
    here.finish(lease, completed())
    assert here.advance() == "confirming"
    first = here.claim()
    assert first is not None
    return here, first


def test_the_seeds_of_a_stack_are_claimed_together(url: URL, database: Engine) -> None:
    """One worker alone gets all other seeds of the stack, each with a lease and an attempt."""
    here, first = confirming(url)
    more = here.claim_alike(first, 8, same)
    assert {lease.stack for lease in more} == {first.stack}
    assert {lease.seed_index for lease in (first, *more)} == {0, 1, 2, 3, 4}
    assert len({lease.token for lease in (first, *more)}) == 5
    assert here.claim_alike(first, 8, same) == []
    for lease in (first, *more):
        here.finish(lease, completed())
    done = [r for r in runs(database, "s", CONFIRMATION) if r.stack == first.stack]
    assert [r.outcome for r in done] == ["completed"] * 5


def test_no_more_are_claimed_than_there_is_room_for(url: URL) -> None:
    """The number asked for is not exceeded."""
    here, first = confirming(url)
    assert len(here.claim_alike(first, 2, same)) == 2
    assert here.claim_alike(first, 0, same) == []


def test_workers_share_the_seeds_equally(url: URL) -> None:
    """Of five seeds and two workers the first takes three, the second two."""
    here, first = confirming(url)
    there = open_client(url)
    there.heartbeat(None)
    assert len(here.claim_alike(first, 8, same)) == 2
    other = None
    while other is None or other.stack != first.stack:
        other = there.claim()
    assert len(there.claim_alike(other, 8, same)) == 1


def test_other_structures_and_failed_runs_are_left(url: URL) -> None:
    """Runs of a stack that is not alike, and runs that failed before, are not claimed."""
    here, first = confirming(url, replicates=3)
    assert here.claim_alike(first, 8, lambda one, other: False) == []
    (second, third) = here.claim_alike(first, 8, same)
    here.give_back(second, "its trainer died")
    here.give_back(third, INTERRUPTED)
    (again,) = here.claim_alike(first, 8, same)
    assert (again.seed_index, again.attempt) == (third.seed_index, 2)


def test_a_lost_lease_claims_nothing(url: URL) -> None:
    """A worker whose lease another has taken gets no further runs for it."""
    here, first = confirming(url)
    here.give_back(first, INTERRUPTED)
    assert here.claim_alike(first, 8, same) == []


def test_every_run_of_a_bundle_that_dies_is_trained_again(url: URL, database: Engine) -> None:
    """When the leases of a bundle are given back, the study still ends with every seed."""
    here, first = confirming(url)
    for lease in (first, *here.claim_alike(first, 8, same)):
        here.give_back(lease, INTERRUPTED)
    work_off(here)
    assert agrees(database)["concluded"]
    assert {r.outcome for r in runs(database, "s", CONFIRMATION)} == {"completed"}
