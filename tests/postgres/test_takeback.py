"""Tasks returned to the queue because of their worker: silence, memory, quarantine."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import URL, Engine, func, select, update

from tests.support.studies import agrees, begun, completed, open_client, spec_of, work_off
from trainstack.search.database.schema import studies, tasks
from trainstack.search.queue import recovery
from trainstack.search.queue.history import attempts_at
from trainstack.search.queue.maintenance import Maintenance
from trainstack.search.queue.queries import trials
from trainstack.search.records import Result
from trainstack.search.sampling.proposals import Proposals
from trainstack.search.studies.actions import create_study
from trainstack.search.studies.worker_client import WorkerClient
from trainstack.spaces.errors import RequestError, StorageAwayError
from trainstack.spaces.references import REFERENCES

pytestmark = pytest.mark.postgres


def let_pass(database: Engine, seconds: float) -> None:
    """Move every lease and the last check for expired leases into the past."""
    ago = func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    with database.begin() as connection:
        connection.execute(update(tasks).values(lease_until=tasks.c.lease_until - ago))
        connection.execute(
            update(studies).values(expiry_checked_at=studies.c.expiry_checked_at - ago)
        )


def test_unwatched_leases_get_time_to_speak(url: URL, database: Engine) -> None:
    """After a time without checks for expired leases, leases are extended."""
    here = begun(url, trials=1)
    lease = here.claim()
    assert lease is not None
    let_pass(database, 100.0)
    assert recovery.requeue_expired(database, here.study_id, 10.0, 30.0) == []
    here.report(lease, completed().measurements)
    # Expired with checks in between: the task is requeued.
    with database.begin() as connection:
        past = func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, 1.0)
        connection.execute(update(tasks).values(lease_until=past))
        connection.execute(update(studies).values(expiry_checked_at=past))
    rows = recovery.requeue_expired(database, here.study_id, 0.5, 30.0)
    assert [row.status for row in rows or []] == ["waiting"]


def test_a_time_without_checks_shortens_no_lease(url: URL, database: Engine) -> None:
    """A lease that lasts longer than the extension keeps its end."""
    here = begun(url, trials=1)
    assert here.claim() is not None
    query = select(tasks.c.lease_until)
    with database.begin() as connection:
        ends = connection.execute(query).scalar_one()
        ago = func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, 40.0)
        connection.execute(update(studies).values(expiry_checked_at=ago))
    assert recovery.requeue_expired(database, here.study_id, 10.0, 30.0) == []
    with database.connect() as connection:
        assert connection.execute(query).scalar_one() == ends


def test_clock_set_back(url: URL, database: Engine) -> None:
    """After the database's clock was set back by hours, a dead worker's task soon waits again."""
    here = begun(url, trials=1)
    assert here.claim() is not None
    let_pass(database, -7200.0)
    with database.begin() as connection:
        hence = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, 7200.0)
        connection.execute(update(studies).values(expiry_checked_at=hence))
    assert recovery.requeue_expired(database, here.study_id, 10.0, 30.0) == []
    let_pass(database, 29.0)
    assert recovery.requeue_expired(database, here.study_id, 10.0, 30.0) == []
    let_pass(database, 11.0)
    rows = recovery.requeue_expired(database, here.study_id, 10.0, 30.0)
    assert [row.status for row in rows or []] == ["waiting"]


def test_only_one_looks_at_a_time(url: URL, database: Engine) -> None:
    """Within the interval only one process checks for expired leases."""
    here = begun(url, trials=1)
    assert here.claim() is not None
    assert recovery.requeue_expired(database, here.study_id, 60.0, 30.0) is None
    assert recovery.requeue_expired(database, here.study_id) == []


def test_maintenance_without_workers(url: URL, database: Engine) -> None:
    """A process that watches a study can requeue tasks with an expired lease."""
    here = begun(url, trials=1)
    assert here.claim() is not None
    for _ in range(3):
        assert agrees(database)["counts"]["running"] == 1
        let_pass(database, 20.0)
        Maintenance(database, here.study_id).run_if_due()
    assert agrees(database)["counts"]["waiting"] == 1


def test_struck_trials_go_to_others_first(url: URL) -> None:
    """A worker gets a trial that failed there only if there is nothing else."""
    here = begun(url, trials=3)
    first = here.claim()
    assert first is not None
    here.give_back(first, "its trainer died")
    others = [here.claim(), here.claim()]
    assert first.task_id not in [lease.task_id for lease in others if lease]
    again = here.claim()
    assert again is not None
    assert (again.task_id, again.attempt) == (first.task_id, 2)


def test_no_room_goes_to_another(url: URL, database: Engine) -> None:
    """A trial that ran out of memory goes once to another worker, if there is one."""
    one = begun(url, trials=1)
    two = open_client(url)
    lease = one.claim()
    assert lease is not None
    one.no_room(lease, "out of memory")
    assert one.claim() is None
    moved = two.claim()
    assert moved is not None
    assert moved.task_id == lease.task_id
    two.no_room(moved, "out of memory here too")
    (trial,) = trials(database, "s")
    assert (trial.outcome, trial.cause) == ("infeasible", "out of memory here too")
    agrees(database)


def test_no_room_comes_back_when_alone(url: URL) -> None:
    """When the other workers have left, the one without enough memory may try again."""
    one = begun(url, trials=1)
    two = open_client(url)
    lease = one.claim()
    assert lease is not None
    one.no_room(lease, "out of memory")
    two.leave()
    assert one.claim() is not None


def failed(here: WorkerClient) -> int:
    lease = here.claim()
    assert lease is not None
    here.finish(lease, Result("failed", cause="a bug"))
    return lease.task_id


def test_quarantine_keeps_the_budget(url: URL, database: Engine) -> None:
    """A faulty worker's failed trials wait again up to the free places, named ones first."""
    create_study(url, spec_of(trials=3), first=[("x", REFERENCES["chapter-default"])])
    sick, sound = open_client(url), open_client(url)
    spoilt = [failed(sick), failed(sick)]
    assert agrees(database)["counts"]["failed"] == 2
    running = [sound.claim(), sound.claim()]
    sick.quarantine(spoilt, "everything fails here")
    counts = agrees(database)["counts"]
    assert (counts["waiting"], counts["running"], counts["failed"]) == (1, 2, 1)
    again = sound.claim()
    assert again is not None
    assert (again.task_id, again.label, again.attempt) == (spoilt[0], "x", 2)
    for lease in (*running, again):
        assert lease is not None
        sound.finish(lease, completed())
    assert work_off(sound) == "concluded"
    counts = agrees(database)["counts"]
    assert (counts["completed"], counts["failed"]) == (3, 1)


def test_quarantine_lets_the_confirmation_be_judged_again(url: URL, database: Engine) -> None:
    """Runs that a faulty worker failed are judged when they have ended elsewhere.

    As many tasks have ended then as when the confirmation was last planned, with other results.
    """
    sound = begun(url, trials=1)
    lease = sound.claim()
    assert lease is not None
    sound.finish(lease, completed())
    assert sound.advance() == "confirming"
    sick = open_client(url)
    spoilt = [failed(sick), failed(sick)]
    assert sound.advance() == "confirming"
    sick.quarantine(spoilt, "everything fails here")
    for _ in range(2):
        lease = sound.claim()
        assert lease is not None
        sound.finish(lease, completed())
    judged: list[int] = []
    judge = sound._judge
    assert judge is not None
    plan = judge.next_runs
    judge.next_runs = lambda spec, runs: judged.append(len(runs)) or plan(spec, runs)  # type: ignore[method-assign,assignment,func-returns-value]
    sound.advance()
    assert judged == [3]


def test_database_away_within_a_claim(
    url: URL, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task claimed as the database became unavailable is returned without a strike."""
    here = begun(url, trials=1)

    def away(*_: object) -> None:
        raise StorageAwayError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Proposals, "propose", away)
        with pytest.raises(StorageAwayError):
            here.claim()
    lease = here.claim()
    assert lease is not None
    assert (lease.number, lease.attempt) == (0, 2)
    here.finish(lease, completed())
    attempts = attempts_at(database, "s", 0)
    assert [a.cause for a in attempts] == ["interrupted", None]


@pytest.mark.parametrize("other", ["version", "space"])
def test_other_code_may_not_join(url: URL, database: Engine, other: str) -> None:
    """A worker of another version, or that cannot read the space, is refused in one line."""
    spec = spec_of()
    create_study(url, spec)
    pinned: dict[str, Any] = spec.to_json()
    if other == "version":
        pinned["version"] = "9.9"
    else:
        pinned["space"]["axes"] = {**pinned["space"]["axes"], "mood": {"good": {}}}
    with database.begin() as connection:
        connection.execute(update(studies).values(spec=pinned))
    with pytest.raises(RequestError, match="9.9" if other == "version" else "mood") as refused:
        open_client(url)
    assert "\n" not in str(refused.value)
    assert agrees(database)["workers"] == []
