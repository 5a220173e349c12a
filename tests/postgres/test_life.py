"""The study's lifecycle from search to conclusion, and the user's requests on the way."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, update

from tests.support.studies import agrees, begun, completed, open_client, spec_of, work_off
from trainstack.search.database.schema import studies, tasks
from trainstack.search.payloads import MeasurementPayload, RefitPayload
from trainstack.search.queue import study_store
from trainstack.search.queue.history import history
from trainstack.search.queue.queries import measurement, runs, status, statuses, trials
from trainstack.search.records import CONFIRMATION, SEARCH, Result
from trainstack.search.studies.actions import create_study, request_state, void_trial
from trainstack.search.studies.worker_client import HeartbeatReply
from trainstack.spaces.errors import RequestError, StudyError
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES

pytestmark = pytest.mark.postgres


def test_whole_life(url: URL, database: Engine) -> None:
    """A study searches its budget, confirms with paired seeds, measures once, and concludes."""
    create_study(url, spec_of(trials=4))
    here = open_client(url)
    for place in range(4):
        lease = here.claim()
        assert lease is not None
        here.finish(lease, completed(1.0 - place / 10))
        assert agrees(database)["state"] == "searching"
    assert here.advance() == "confirming"
    confirmed = runs(database, "s", CONFIRMATION)
    last = list(REFERENCES.values())[3]
    assert {(r.stack, r.seed_index, r.seed) for r in confirmed} == {
        (stack, index, 1000 + index) for stack in (last, CHAPTER_DEFAULT) for index in (0, 1)
    }
    for _ in range(4):
        lease = here.claim()
        assert lease is not None
        assert lease.kind == "confirmation"
        assert here.advance() == "confirming"
        here.finish(lease, Result("completed", 0.5, artifacts={"model": f"{lease.number}.keras"}))
    assert here.advance() == "confirming"
    lease = here.claim()
    assert lease is not None
    assert lease.kind == "measurement"
    assert isinstance(lease.payload, MeasurementPayload)
    assert lease.payload.chosen == last
    assert lease.payload.baseline == CHAPTER_DEFAULT
    kept = lease.payload.runs
    assert set(kept) == {last.stack_id, CHAPTER_DEFAULT.stack_id}
    assert [set(per_seed) for per_seed in kept.values()] == [{"0", "1"}] * 2
    assert measurement(database, "s") is None
    here.finish(lease, Result("completed", payload={"test": {"loss": 0.25}}))
    assert here.advance() == "concluded"
    assert measurement(database, "s") == {"test": {"loss": 0.25}}
    found = agrees(database)
    assert found["counts"]["completed"] == 4
    assert len(trials(database, "s", CONFIRMATION)) == 4
    words = [event.kind for event in history(database, "s")]
    assert words[0] == "created"
    assert words[-1] == "concluded"


def test_other_workers_train_the_networks_that_the_measurement_needs(
    url: URL, database: Engine
) -> None:
    """They are tasks until the measurement ends, and a study ends when none is being trained."""
    here = begun(url, trials=1, replicates=2)
    search = here.claim()
    assert search is not None
    here.finish(search, completed())
    here.advance()
    while (lease := here.claim()) is not None and lease.kind == "confirmation":
        here.finish(lease, completed())
        here.advance()
    assert lease is not None
    assert lease.kind == "measurement"
    other = open_client(url)
    assert isinstance(lease.payload, MeasurementPayload)
    wanted = [(lease.payload.chosen, refit) for refit in lease.payload.refits]
    assert len(wanted) == 2
    first = other.claim()
    assert first is not None
    assert (first.kind, first.stack, first.payload) == (
        "refit",
        wanted[0][0],
        RefitPayload(wanted[0][1]),
    )
    here.finish(lease, Result("completed", payload={"test": {"loss": 0.25}}))
    assert here.claim() is None, "the measurement has ended, so the second network is not needed"
    assert here.advance() == "confirming", "the first one is still being trained"
    other.finish(first, Result("completed"))
    assert other.claim() is None
    assert other.advance() == "concluded"
    agrees(database)


def test_advance_by_many_at_once(url: URL, database: Engine) -> None:
    """Eight workers that advance at once plan the confirmation once."""
    here = begun(url, trials=1)
    lease = here.claim()
    assert lease is not None
    here.finish(lease, completed())
    clients = [open_client(url) for _ in range(8)]
    gate = threading.Barrier(8)
    states: list[str] = []

    def advance(index: int) -> None:
        gate.wait()
        states.append(clients[index].advance())

    threads = [threading.Thread(target=advance, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(states) == {"confirming"}
    pairs = [(r.stack_id, r.seed_index) for r in runs(database, "s", CONFIRMATION)]
    assert len(pairs) == len(set(pairs)) == 4
    assert sorted(r.number for r in runs(database, "s", CONFIRMATION)) == [0, 1, 2, 3]


def test_dropped_candidates_are_not_run(url: URL, database: Engine) -> None:
    """Waiting confirmation runs that the evidence no longer requires are withdrawn."""
    here = begun(url, trials=1)
    lease = here.claim()
    assert lease is not None
    here.finish(lease, completed())
    here.advance()
    lease = here.claim()
    assert lease is not None
    here.finish(lease, completed())
    judge = here._judge
    assert judge is not None
    judge.next_runs = lambda spec, runs: []  # type: ignore[method-assign,assignment]
    here.advance()
    assert [r.outcome for r in runs(database, "s", CONFIRMATION)] == ["completed"]
    last = here.claim()
    assert last is not None
    assert last.kind == "measurement"


def test_same_spec_resumes_other_spec_is_refused(url: URL) -> None:
    """The same request finds the study; another one is refused with the difference."""
    assert create_study(url, spec_of(trials=5)) is True
    assert create_study(url, spec_of(trials=5)) is False
    with pytest.raises(StudyError, match=r"trials: 5 here, 7 asked") as refused:
        create_study(url, spec_of(trials=7))
    assert "\n" not in str(refused.value)


def test_unknown_names(url: URL, database: Engine) -> None:
    """Misspelt studies, samplers and pruners are refused with the nearest name."""
    assert statuses(database) == []
    with pytest.raises(StudyError, match="no study"):
        status(database, "digits")
    for change in ({"sampler": "tpee"}, {"pruner": "ashaa"}):
        with pytest.raises(RequestError, match="did you mean"):
            create_study(url, spec_of(**change))
    create_study(url, spec_of(study="digits"))
    for ask in (
        lambda: status(database, "digit"),
        lambda: request_state(url, "digit", study_store.PAUSE),
    ):
        with pytest.raises(StudyError, match="did you mean 'digits'"):
            ask()
    assert [s.study for s in statuses(database)] == ["digits"]


def test_pause_and_resume(url: URL, database: Engine) -> None:
    """While paused nothing starts, running trials may finish, and resuming continues."""
    here = begun(url, trials=3)
    lease = here.claim()
    assert lease is not None
    assert request_state(url, "s", study_store.PAUSE) == "paused"
    assert here.heartbeat(lease) is HeartbeatReply.PAUSE
    assert here.claim() is None
    here.finish(lease, completed())
    assert here.advance() == "paused"
    assert status(database, "s").phase == "searching"
    assert request_state(url, "s", study_store.GO) == "searching"
    assert work_off(here) == "concluded"
    assert agrees(database)["counts"]["completed"] == 3


def test_stop_concludes_with_what_there_is(url: URL, database: Engine) -> None:
    """After a stop running trials finish, waiting ones are dropped, and the study concludes."""
    create_study(url, spec_of(trials=8))
    here = open_client(url)
    done, running, given_back = here.claim(), here.claim(), here.claim()
    assert done
    assert running
    assert given_back
    here.finish(done, completed(0.25))
    here.give_back(given_back)
    assert request_state(url, "s", study_store.STOP) == "stopped"
    assert here.heartbeat(running) is HeartbeatReply.STOP
    assert here.claim() is None
    assert here.advance() == "stopped"
    here.finish(running, completed(0.5))
    assert here.advance() == "confirming"
    found = agrees(database)
    assert found["budget"] == {"trials": 2, "asked": 8}
    assert (found["counts"]["completed"], found["counts"]["failed"]) == (2, 1)
    assert work_off(here) == "concluded"
    agrees(database)


def test_stop_during_confirmation(url: URL, database: Engine) -> None:
    """A stop while confirming drops waiting runs, and still measures the chosen stack."""
    here = begun(url, trials=1)
    lease = here.claim()
    assert lease is not None
    here.finish(lease, completed())
    here.advance()
    lease = here.claim()
    assert lease is not None
    request_state(url, "s", study_store.STOP)
    assert here.claim() is None
    assert here.advance() == "stopped"
    here.finish(lease, completed())
    here.advance()
    last = here.claim()
    assert last is not None
    assert last.kind == "measurement"
    here.finish(last, Result("completed"))
    assert here.advance() == "concluded"
    assert len(runs(database, "s", CONFIRMATION)) == 1


def test_cancel_and_resume(url: URL, database: Engine) -> None:
    """A cancel reaches running trials, concludes nothing, and can be resumed without loss."""
    create_study(url, spec_of(trials=3))
    here = open_client(url)
    lease = here.claim()
    assert lease is not None
    assert request_state(url, "s", study_store.CANCEL) == "stopped"
    assert here.heartbeat(lease) is HeartbeatReply.CANCEL
    here.give_back(lease)
    assert (here.claim(), here.advance()) == (None, "stopped")
    assert agrees(database)["counts"]["waiting"] == 3
    assert request_state(url, "s", study_store.GO) == "searching"
    assert work_off(here) == "concluded"
    assert agrees(database)["counts"]["completed"] == 3


def test_timeout_ends_the_search(url: URL, database: Engine) -> None:
    """After the deadline nothing starts, running trials finish, and the study concludes."""
    create_study(url, spec_of(trials=5, timeout_seconds=3600.0))
    assert status(database, "s").remaining_seconds is None  # no trial has begun
    here = open_client(url)
    lease = here.claim()
    assert lease is not None
    assert 3500 < agrees(database)["remaining_seconds"] <= 3600
    with database.begin() as connection:
        connection.execute(update(studies).values(deadline_at=studies.c.created_at))
    assert here.claim() is None
    assert here.advance() == "searching"
    here.finish(lease, completed())
    assert here.advance() == "confirming"
    assert agrees(database)["budget"] == {"trials": 1, "asked": 5}


def test_pause_stops_the_clock(url: URL, database: Engine) -> None:
    """Paused time does not count against the timeout."""
    create_study(url, spec_of(trials=5, timeout_seconds=600.0))
    here = open_client(url)
    assert here.claim() is not None
    request_state(url, "s", study_store.PAUSE)
    with database.begin() as connection:
        hour = studies.c.paused_at - study_store.func.make_interval(0, 0, 0, 0, 1)
        earlier = studies.c.deadline_at - study_store.func.make_interval(0, 0, 0, 0, 1)
        connection.execute(update(studies).values(paused_at=hour, deadline_at=earlier))
    assert 590 < agrees(database)["remaining_seconds"] <= 600
    request_state(url, "s", study_store.GO)
    assert 590 < agrees(database)["remaining_seconds"] <= 600


def test_void_while_searching(url: URL, database: Engine) -> None:
    """A voided trial is removed from the counts, and a new one takes its place."""
    here = begun(url, trials=2)
    for value in (0.1, 0.2):
        lease = here.claim()
        assert lease is not None
        here.finish(lease, completed(value))
    void_trial(url, "s", 0, "the label file was wrong")
    found = agrees(database)
    assert (found["counts"]["voided"], found["best"]) == (1, {"trial": 1, "value": 0.2})
    assert work_off(here, 0.3) == "concluded"
    assert agrees(database)["counts"]["completed"] == 2
    assert runs(database, "s", SEARCH)[0].cause == "the label file was wrong"


def test_void_removes_the_trials_files(
    url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The voided trial's kept predictions leave the artifact store, those of others stay."""
    monkeypatch.setenv("TRAINSTACK_ARTIFACTS", str(tmp_path))
    here = begun(url, trials=2)
    for name in ("a.npz", "b.npz"):
        (tmp_path / name).write_bytes(b"predictions")
        lease = here.claim()
        assert lease is not None
        here.finish(lease, replace(completed(), artifacts={"predictions": name}))
    void_trial(url, "s", 0, "spoilt")
    assert [path.name for path in tmp_path.iterdir()] == ["b.npz"]


def test_void_after_conclusion(url: URL, database: Engine) -> None:
    """Voiding a trial of a concluded study shrinks the budget by its place."""
    here = begun(url, trials=2)
    assert work_off(here) == "concluded"
    void_trial(url, "s", 1, "spoilt")
    assert agrees(database)["budget"] == {"trials": 1, "asked": 2}


def test_void_refuses(url: URL) -> None:
    """Unfinished and unknown trials cannot be voided."""
    here = begun(url, trials=2)
    assert here.claim() is not None
    with pytest.raises(RequestError, match="running"):
        void_trial(url, "s", 0, "no")
    with pytest.raises(RequestError, match="no trial 7"):
        void_trial(url, "s", 7, "no")


def test_nothing_finished(url: URL, database: Engine) -> None:
    """A study whose trials all diverged concludes without a measurement."""
    here = begun(url, trials=2)
    for _ in range(2):
        lease = here.claim()
        assert lease is not None
        here.finish(lease, Result("diverged", cause="loss not finite"))
    assert here.advance() == "concluded"
    assert agrees(database)["best"] is None
    with database.connect() as connection:
        assert connection.execute(tasks.select().where(tasks.c.kind != SEARCH)).all() == []


def test_failed_confirmations_do_not_hold_up(url: URL, database: Engine) -> None:
    """A confirmation that keeps failing is not planned indefinitely."""
    here = begun(url, trials=1)
    lease = here.claim()
    assert lease is not None
    here.finish(lease, completed())
    for _ in range(20):
        if here.advance() == "concluded":
            break
        lease = here.claim()
        assert lease is not None
        here.finish(lease, Result("failed", cause="a bug"))
    assert status(database, "s").state == "concluded"


def test_a_worker_goes_on_with_the_stacks_it_has_compiled(url: URL) -> None:
    """In the confirmation each worker takes one stack's seeds in a row."""
    one = begun(url, trials=3, replicates=3)
    for value in (0.5, 0.4, 0.3):
        lease = one.claim()
        assert lease is not None
        one.finish(lease, completed(value))
    one.advance()
    two = open_client(url)
    taken: dict[str, list[str]] = {"one": [], "two": []}
    for _ in range(3):
        for name, here in (("one", one), ("two", two)):
            lease = here.claim()
            assert lease is not None
            assert lease.kind == CONFIRMATION
            assert lease.stack is not None
            taken[name].append(lease.stack.stack_id)
            here.finish(lease, completed(0.3))
    assert {len(set(stacks)) for stacks in taken.values()} == {1}
    assert set(taken["one"]) != set(taken["two"])
