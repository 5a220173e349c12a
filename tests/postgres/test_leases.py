"""Claims, fencing and expiry: no result is lost, duplicated or overwritten."""

from __future__ import annotations

import math
import random
import threading
import time
from typing import Any

import pytest
from sqlalchemy import URL, Engine, func, select, update

from tests.support.studies import agrees, begun, completed, epochs, open_client, spec_of, work_off
from trainstack.search.database.schema import tasks
from trainstack.search.json_values import json_safe
from trainstack.search.queue import claiming, study_store
from trainstack.search.queue.history import attempts_at, history
from trainstack.search.queue.lease import LEASE_SECONDS
from trainstack.search.queue.queries import runs, status, trials
from trainstack.search.queue.trial_record import PHASES
from trainstack.search.records import SEARCH, Measurement, Result
from trainstack.search.sampling.proposals import Proposals
from trainstack.search.studies.actions import create_study
from trainstack.search.studies.worker_client import (
    INTERRUPTED,
    HeartbeatReply,
    LeaseLost,
    WorkerClient,
)
from trainstack.spaces.references import REFERENCES
from trainstack.workers.runtime.limits import IDLE_SECONDS

pytestmark = pytest.mark.postgres


def expire(database: Engine) -> None:
    """Move the expiry of every lease one second into the past."""
    with database.begin() as connection:
        past = func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, 1.0)
        connection.execute(update(tasks).values(lease_until=past))


def test_references_first(url: URL) -> None:
    """Reference stacks are claimed in order, as many as the budget has places."""
    create_study(url, spec_of(trials=3))
    here = open_client(url)
    claimed = [here.claim() for _ in range(3)]
    names = list(REFERENCES)[:3]
    assert [lease.label for lease in claimed if lease] == names
    assert [lease.stack for lease in claimed if lease] == [REFERENCES[n] for n in names]
    assert [lease.number for lease in claimed if lease] == [0, 1, 2]
    assert here.claim() is None


def test_a_cause_may_hold_what_the_database_cannot(url: URL, database: Engine) -> None:
    """A user's code may raise any text: zero bytes and halves of characters become marks."""
    here = begun(url, trials=1)
    for end in (here.give_back, lambda lease, why: here.finish(lease, Result("failed", cause=why))):
        lease = here.claim()
        assert lease is not None
        end(lease, "zero \0, half \udcff")
    (trial,) = trials(database, "s")
    assert trial.cause == "zero \N{REPLACEMENT CHARACTER}, half \N{REPLACEMENT CHARACTER}"
    found = [attempt.cause for attempt in attempts_at(database, "s", 0)]
    assert found == [trial.cause] * 2


def test_seeds_differ_and_repeat(url: URL) -> None:
    """Trials of a study have distinct seeds, the same in an equal study."""
    seen = []
    for name in ("a", "b"):
        here = begun(url, study=name, trials=4)
        seen.append([lease.seed for _ in range(4) if (lease := here.claim())])
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 4


def test_budget_exact_when_workers_die(url: URL, database: Engine) -> None:
    """Eight workers that die, give back and fail finish with exactly the budget."""
    trials = 24
    # Random draws: eight threads share one interpreter, and a lease must outlast its draw.
    create_study(url, spec_of(trials=trials, sampler="random"))
    broken: list[str] = []

    def joined() -> WorkerClient:
        return open_client(url, lease_seconds=3.0, requeue_seconds=0.05)

    def work(seed: int) -> None:
        dice = random.Random(seed)
        here = joined()
        try:
            while here.advance() == "searching":
                lease = here.claim()
                if lease is None:
                    time.sleep(IDLE_SECONDS)  # as a worker does
                    continue
                if dice.random() < 0.15:
                    here = joined()  # the process is killed, and a new one joins
                    continue
                try:
                    here.report(lease, epochs(2))
                    if dice.random() < 0.2:
                        here.give_back(lease, INTERRUPTED)
                    elif dice.random() < 0.05:
                        here.finish(lease, Result("failed", cause="a bug"))
                    else:
                        here.finish(lease, completed(dice.random()))
                except LeaseLost:
                    pass  # its lease expired, and another worker has the trial
        except Exception as error:
            broken.append(repr(error))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        agrees(database)
        for thread in threads:
            thread.join(0.05)
    assert broken == []
    counts = agrees(database)["counts"]
    done = counts["completed"] + counts["pruned"] + counts["diverged"] + counts["infeasible"]
    assert done == trials
    assert counts["running"] == counts["waiting"] == 0
    assert len(history(database, "s")) > trials


def test_lease_outlasts_its_claim(
    url: URL, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a long draw the claim's lease has its full duration when training begins."""
    here = begun(url, trials=1)
    propose = Proposals.propose

    def slowly(proposals: Proposals) -> Any:
        with database.begin() as connection:
            connection.execute(update(tasks).values(lease_until=func.clock_timestamp()))
        return propose(proposals)

    monkeypatch.setattr(Proposals, "propose", slowly)
    assert here.claim() is not None
    with database.connect() as connection:
        left = select(tasks.c.lease_until - func.clock_timestamp())
        assert connection.execute(left).scalar_one().total_seconds() > LEASE_SECONDS / 2


def test_stale_token_writes_nothing(url: URL, database: Engine) -> None:
    """A worker whose lease expired cannot report, finish, give back or renew."""
    first, second = begun(url, trials=1), open_client(url)
    old = first.claim()
    assert old is not None
    expire(database)
    assert second.requeue_expired() == 1
    new = second.claim()
    assert new is not None
    assert (new.task_id, new.number, new.attempt) == (old.task_id, old.number, 2)
    for act in (
        lambda: first.report(old, epochs(1)),
        lambda: first.finish(old, completed(0.0)),
        lambda: first.give_back(old),
    ):
        with pytest.raises(LeaseLost):
            act()
    assert first.heartbeat(old, "training") is HeartbeatReply.LOST
    second.finish(new, completed(0.25))
    assert [(r.value, r.attempt) for r in runs(database, "s", SEARCH)] == [(0.25, 2)]
    endings = [(a.ending, a.cause) for a in attempts_at(database, "s", new.number)]
    assert endings == [
        ("given back", "lease expired: the worker stopped responding"),
        ("completed", None),
    ]


def test_reaped_between_claim_and_first_beat(url: URL, database: Engine) -> None:
    """If a worker dies after its claim, before its trial exists, nothing is lost."""
    here = begun(url, trials=1)
    assert claiming.claim(database, here.study_id, here.worker_id, 60.0) is not None
    assert agrees(database)["counts"]["running"] == 1
    expire(database)
    here.requeue_expired()
    assert agrees(database)["counts"]["waiting"] == 1
    assert work_off(here) == "concluded"
    counts = agrees(database)["counts"]
    assert (counts["completed"], counts["retried"]) == (1, 1)


def test_beat_renews(url: URL, database: Engine) -> None:
    """Heartbeats keep the lease of a long trial."""
    here = begun(url, trials=1)
    lease = here.claim()
    assert lease is not None
    expire(database)
    assert here.heartbeat(lease, "training") is HeartbeatReply.GO_ON
    assert here.requeue_expired() == 0
    shown = status(database, "s").workers[0]
    assert (shown.state, shown.trial) == ("training", lease.number)


def test_strikes_add_up_interruptions_do_not(url: URL, database: Engine) -> None:
    """Three crashes fail a trial with its cause and free its place; signals never do."""
    here = begun(url, trials=1)
    for _ in range(5):
        lease = here.claim()
        assert lease is not None
        here.give_back(lease, INTERRUPTED)
    for _ in range(3):
        lease = here.claim()
        assert lease is not None
        here.give_back(lease, "trainer died")
    found = agrees(database)
    assert (found["counts"]["failed"], found["counts"]["waiting"]) == (1, 0)
    (failed,) = trials(database, "s")
    assert failed.cause == "trainer died (attempt 8, the last)"
    fresh = here.claim()
    assert fresh is not None
    assert fresh.task_id != lease.task_id


def test_given_back_comes_first(url: URL) -> None:
    """A returned trial is claimed before new ones, with an empty curve."""
    create_study(url, spec_of(trials=3))
    here = open_client(url)
    first, second = here.claim(), here.claim()
    assert first
    assert second
    here.report(second, epochs(4))
    here.give_back(second)
    again = here.claim()
    assert again
    assert (again.task_id, again.stack, again.seed) == (second.task_id, second.stack, second.seed)
    with here._engine.connect() as connection:
        curve = select(tasks.c.curve).where(tasks.c.task_id == again.task_id)
        assert connection.execute(curve).scalar() == []


def test_reports_may_repeat(url: URL, database: Engine) -> None:
    """Buffered reports that arrive twice or overlap give one curve."""
    here = begun(url, trials=1)
    lease = here.claim()
    assert lease is not None
    here.report(lease, epochs(3))
    here.report(lease, epochs(3, start=2))
    assert runs(database, "s")[0].curve == tuple(2 / e for e in range(1, 5))


def test_numbers_that_are_not_finite(url: URL, database: Engine) -> None:
    """NaN in curves, metrics and values is stored, and printed as null."""
    here = begun(url, trials=1)
    lease = here.claim()
    assert lease is not None
    news = (Measurement(1, math.nan, math.inf, math.nan),)
    here.report(lease, news)
    here.finish(lease, Result("completed", math.nan, 1, news, {"accuracy": math.nan}))
    (run,) = runs(database, "s")
    assert run.outcome == "diverged"
    assert run.curve == (math.inf,)
    assert math.isnan(run.metrics["accuracy"])
    (shown,) = json_safe(trials(database, "s"))
    assert (shown["curve"], shown["metrics"]["accuracy"], shown["value"]) == ([None], None, None)


def test_all_failing_ends(url: URL, database: Engine) -> None:
    """A search in which every trial fails ends without a result."""
    here = begun(url, trials=2)
    for _ in range(40):
        if here.advance() == "concluded":
            break
        lease = here.claim()
        assert lease is not None
        here.finish(lease, Result("failed", cause="a bug"))
    found = agrees(database)
    assert found["state"] == "concluded"
    assert found["counts"]["failed"] == study_store.MOST_FAILURES
    assert found["budget"] == {"trials": 0, "asked": 2}


def test_equal_stacks_are_trained_once(
    url: URL, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stack drawn again takes the finished trial's result, which is recorded."""
    here = begun(url, trials=3)
    lease = here.claim()
    assert lease is not None
    here.finish(lease, completed(0.125))
    monkeypatch.setattr(Proposals, "propose", lambda proposals: (lease.stack, {}))
    assert here.claim() is None
    found = runs(database, "s", SEARCH)
    assert [r.value for r in found] == [0.125] * 3
    assert [r.cause for r in found[1:]] == ["cached: the same stack as trial 0"] * 2
    shown = trials(database, "s")
    assert [set(record.seconds) for record in shown] == [set(PHASES)] * 3
    assert not any(shown[1].seconds.values())
    assert [r.curve for r in found] == [found[0].curve] * 3
    agrees(database)


def test_given_stacks_are_never_cached(url: URL) -> None:
    """Stacks given by the user are trained each time they are listed."""
    stack = REFERENCES["chapter-default"]
    create_study(url, spec_of(stacks=(stack, stack, stack)))
    here = open_client(url)
    assert work_off(here) == "concluded"
    assert [r.cause for r in runs(here._engine, "s", SEARCH)] == [None] * 3


def test_many_join_an_empty_database(url: URL) -> None:
    """Many threads can open a client of an empty database at once."""
    spec = spec_of(trials=2)
    opened: list[WorkerClient] = []
    errors: list[Exception] = []

    def join() -> None:
        try:
            create_study(url, spec)
            opened.append(open_client(url))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=join) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len({d.worker_id for d in opened}) == 6
