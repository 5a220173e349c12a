"""A worker whose row was removed is registered again, and loses nothing that it holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, delete, func, select

from tests.support.studies import CARD, begun, completed, epochs, open_client, work_off
from trainstack.search.database.connection import HOME
from trainstack.search.database.schema import studies, tasks, workers
from trainstack.search.queue import queries, recovery
from trainstack.search.queue.history import history
from trainstack.search.records import Result
from trainstack.search.studies.deletion import delete_study
from trainstack.search.studies.worker_client import HeartbeatReply, Lease, WorkerClient
from trainstack.spaces.errors import RequestError, StudyError

pytestmark = pytest.mark.postgres


def remove(database: Engine, here: WorkerClient) -> None:
    """Delete a worker's row, as an administrator may."""
    with database.begin() as connection:
        connection.execute(delete(workers).where(workers.c.worker_id == here.worker_id))


def claimed(here: WorkerClient) -> Lease:
    lease = here.claim()
    assert lease is not None
    return lease


def test_claim_registers_again(url: URL, database: Engine) -> None:
    """A removed worker claims the next trial, under its old id and with its own description."""
    here = begun(url, trials=2)
    remove(database, here)
    lease = claimed(here)
    (shown,) = queries.status(database, "s").workers
    assert shown.id == queries.worker_name(CARD.host, CARD.pid, here.worker_id)
    assert (shown.device, shown.trial) == (CARD.device, lease.number)
    assert [event.kind for event in history(database, "s")].count("joined") == 2


def test_heartbeat_keeps_the_lease(url: URL, database: Engine) -> None:
    """The next heartbeat registers a removed worker, renews its lease, and names it as holder."""
    here = begun(url, trials=1)
    lease = claimed(here)
    remove(database, here)
    with database.begin() as connection:
        connection.execute(tasks.update().values(lease_until=func.now()))
    assert here.heartbeat(lease, "training") is HeartbeatReply.GO_ON
    assert recovery.requeue_expired(database, here.study_id) == []
    (shown,) = queries.status(database, "s").workers
    assert (shown.state, shown.trial) == ("training", lease.number)


@pytest.mark.parametrize(
    ("act", "wanted"),
    [
        (lambda here, lease: here.report(lease, epochs(2)), ("running", None)),
        (lambda here, lease: here.finish(lease, completed()), ("done", "completed")),
        (lambda here, lease: here.give_back(lease), ("waiting", None)),
        (lambda here, lease: here.leave(), ("running", None)),
    ],
    ids=["report", "finish", "give_back", "leave"],
)
def test_lease_stays_valid(
    url: URL,
    database: Engine,
    act: Callable[[WorkerClient, Lease], None],
    wanted: tuple[str, str | None],
) -> None:
    """What a worker writes with its lease is accepted after its row was removed."""
    here = begun(url, trials=1)
    lease = claimed(here)
    remove(database, here)
    act(here, lease)
    with database.connect() as connection:
        row = connection.execute(select(tasks.c.status, tasks.c.outcome)).one()
    assert tuple(row) == wanted


def test_out_of_memory_avoids_the_removed_worker(url: URL, database: Engine) -> None:
    """A trial without room on a removed worker goes to another one."""
    here = begun(url, trials=1)
    other = open_client(url)
    lease = claimed(here)
    remove(database, here)
    here.no_room(lease, "out of memory")
    assert here.claim() is None
    assert claimed(other).number == lease.number


def test_quarantine_of_a_removed_worker(url: URL, database: Engine) -> None:
    """A removed worker is quarantined; the trials that were not known to be its own stay failed."""
    here = begun(url, trials=2)
    lease = claimed(here)
    here.finish(lease, Result("failed", cause="a bug"))
    remove(database, here)
    here.quarantine([lease.task_id], "everything fails here")
    with database.connect() as connection:
        row = connection.execute(select(workers.c.worker_id, workers.c.state)).one()
        outcome = connection.execute(select(tasks.c.outcome)).scalar_one()
    assert (tuple(row), outcome) == ((here.worker_id, "quarantined"), "failed")


def test_runs_are_claimed_together(url: URL, database: Engine) -> None:
    """A removed worker claims its share of the runs that can be trained together."""
    here = begun(url, trials=1, replicates=3)
    here.finish(claimed(here), completed())
    here.advance()
    first = claimed(here)
    remove(database, here)
    assert here.claim_alike(first, 8, lambda one, other: True)
    with database.connect() as connection:
        assert connection.execute(select(workers.c.worker_id)).scalar_one() == here.worker_id


def test_study_goes_on_whoever_is_removed(url: URL, database: Engine) -> None:
    """A study whose worker is removed in each of its phases comes to its end."""
    here = begun(url, trials=2)
    remove(database, here)
    here.finish(claimed(here), completed())
    remove(database, here)
    assert work_off(here) == "concluded"


def test_deleted_study_is_named(url: URL, database: Engine) -> None:
    """A worker whose study was deleted gets a StudyError."""
    here = begun(url, trials=1)
    with database.begin() as connection:
        connection.execute(delete(studies))
    with pytest.raises(StudyError, match="the study was deleted"):
        here.heartbeat(None)


def test_a_study_is_deleted_once_its_workers_have_nothing_to_do(
    url: URL, database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it goes on its workers keep it; when it is concluded they do not."""
    monkeypatch.setenv(HOME, str(tmp_path))
    here = begun(url, trials=1)
    with pytest.raises(RequestError, match="workers are at study 's'"):
        delete_study(url, "s")
    assert work_off(here) == "concluded"
    assert [worker.state for worker in queries.status(database, "s").workers] != []
    delete_study(url, "s")
    with pytest.raises(StudyError, match="no study 's'"):
        delete_study(url, "s")
