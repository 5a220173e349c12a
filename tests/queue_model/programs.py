"""Short programs of workers, a reaper and a user, to be interleaved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine, delete

from tests.queue_model.bench import Bench
from tests.queue_model.schedule import Program, Run, run
from tests.queue_model.snapshot import Snapshot, check, check_counts, snapshot
from tests.support.studies import CARD, completed, spec_of
from trainstack.search.database.schema import workers
from trainstack.search.queue import (
    attempts,
    budget,
    claiming,
    deduplication,
    recovery,
    study_store,
    worker_registry,
)
from trainstack.search.queue.attempts import LeaseLost
from trainstack.search.queue.worker_registry import WorkerRemoved
from trainstack.spaces.references import REFERENCES

Chooser = Callable[[int, Sequence[str]], int]
# A lease that has expired when it begins: the reaper may take it at any moment.
EXPIRED = -1.0
_STACK = next(iter(REFERENCES.values()))
_SPEC = spec_of(replicates=1)


class Case:
    """A new study, and programs that work on it together."""

    def __init__(self, bench: Bench, trials: int, seconds: float = EXPIRED) -> None:
        self.bench, self.name, self.seconds = bench, next(bench.names), seconds
        spec = replace(_SPEC, study=self.name, trials=trials)
        study_store.create(bench.engine, spec, ())
        with bench.engine.connect() as connection:
            self.study_id = study_store.find(connection, self.name).study_id
        self.workers = [worker_registry.join(bench.engine, self.study_id, CARD)[0] for _ in "ab"]

    def claim(self, here: Engine, worker: int = 0) -> Any:
        """Claim a task."""
        return claiming.claim(here, self.study_id, self.workers[worker], self.seconds)

    def work(self, worker: int) -> Program:
        """Return the program of a worker that claims a task and finishes it."""

        def program(here: Engine) -> str:
            row = self.claim(here, worker)
            if row is None:
                return "nothing"
            try:
                attempts.finish(here, row.task_id, row.token, completed(0.1 * worker))
            except LeaseLost:
                return "lost"
            return "finished"

        return program

    def reap(self, here: Engine) -> int:
        """Return expired leases; return their number."""
        return len(recovery.requeue_expired(here, self.study_id) or [])

    def draw_again(self, here: Engine) -> str:
        """Claim a place, draw a stack, and take the finished result if there is one."""
        row = self.claim(here)
        if row is None:
            return "nothing"
        with here.begin() as connection:
            own = {"stack": _STACK.to_json(), "stack_id": _STACK.stack_id}
            row = attempts.write(connection, row.task_id, row.token, **own)
        return "copied" if deduplication.finish_as_duplicate(here, row) else "training"

    def stay(self, here: Engine) -> str | None:
        """Claim a task and send a heartbeat, registering again whenever the row is gone."""
        worker_id = self.workers[0]
        row = self._registered(here, lambda: self.claim(here))
        held = row.task_id, row.token
        beat = (here, worker_id, "training", held, self.seconds)
        return self._registered(here, lambda: attempts.heartbeat(*beat))

    def _registered(self, here: Engine, act: Callable[[], Any]) -> Any:
        while True:
            try:
                return act()
            except WorkerRemoved:
                worker_registry.rejoin(here, self.study_id, self.workers[0], CARD)

    def remove(self, here: Engine) -> None:
        """Delete the first worker's row."""
        with here.begin() as connection:
            connection.execute(delete(workers).where(workers.c.worker_id == self.workers[0]))

    def void(self, here: Engine) -> None:
        """Void trial 0."""
        study_store.void(here, self.name, 0, "spoilt")

    def set_budget(self, trials: int) -> Program:
        """Return the program of a user who changes the budget."""

        def program(here: Engine) -> str:
            return " ".join(budget._adjust(here, self.name, trials, None, None))

        return program

    def after(self) -> Snapshot:
        """Return the tables, which must agree with each other."""
        found = snapshot(self.bench.watching, self.study_id)
        check(found)
        check_counts(self.bench.watching, found)
        return found

    def run(self, choose: Chooser, **programs: Program) -> Run:
        """Run programs together, each on a connection of its own."""
        lines = [line.engine for line in self.bench.lines]
        together = dict(zip(programs, zip(lines, programs.values(), strict=False), strict=False))
        return run(self.bench.watching, together, choose)


def two_workers_and_a_reaper(bench: Bench, choose: Chooser) -> Run:
    """Let two workers claim and finish while a reaper takes their leases away.

    Raises:
        AssertionError: A result was lost or counted twice.
    """
    case = Case(bench, trials=2)
    done = case.run(choose, a=case.work(0), b=case.work(1), reaper=case.reap)
    tasks = case.after().tasks.values()
    replies = [done.replies["a"], done.replies["b"]]
    assert all(reply in ("finished", "lost", "nothing") for reply in replies), done
    ended = [task for task in tasks if task.status == "done"]
    assert len(ended) == replies.count("finished"), done
    assert isinstance(done.replies["reaper"], int), done
    assert done.replies["reaper"] >= replies.count("lost"), done
    assert "nothing" not in replies, done
    return done


def a_worker_a_claim_and_a_reaper(bench: Bench, choose: Chooser) -> Run:
    """Let a worker claim and finish, and another claim, while a reaper takes their leases away.

    Raises:
        AssertionError: The result was lost or counted twice.
    """
    case = Case(bench, trials=2)
    done = case.run(choose, a=case.work(0), b=lambda here: case.claim(here, 1), reaper=case.reap)
    ended = [task for task in case.after().tasks.values() if task.status == "done"]
    reply = done.replies["a"]
    assert reply == "finished" or (reply == "lost" and done.replies["reaper"]), done
    assert len(ended) == (reply == "finished"), done
    assert done.replies["b"] is not None, done
    return done


def a_copy_and_a_void(bench: Bench, choose: Chooser) -> Run:
    """Let a worker copy a finished result while a user voids it.

    Raises:
        AssertionError: A voided result lives on in a copy.
    """
    case = Case(bench, trials=2, seconds=60.0)
    row = case.claim(bench.engine)
    with bench.engine.begin() as connection:
        own = {"stack": _STACK.to_json(), "stack_id": _STACK.stack_id}
        attempts.write(connection, row.task_id, row.token, **own)
    attempts.finish(bench.engine, row.task_id, row.token, completed())
    done = case.run(choose, worker=case.draw_again, user=case.void)
    assert not any(isinstance(reply, Exception) for reply in done.replies.values()), done
    case.after()
    return done


def a_worker_and_its_removal(bench: Bench, choose: Chooser) -> Run:
    """Let a worker claim and send a heartbeat while its row is removed.

    Raises:
        AssertionError: It lost its lease, or an error reached it.
    """
    case = Case(bench, trials=2, seconds=60.0)
    done = case.run(choose, worker=case.stay, user=case.remove)
    assert done.replies == {"worker": "go", "user": None}, done
    assert [task.status for task in case.after().tasks.values()] == ["running"], done
    return done


def two_claims_and_a_budget(bench: Bench, choose: Chooser) -> Run:
    """Let two workers claim while a user takes a place away.

    Raises:
        AssertionError: More places are held than the budget has.
    """
    case = Case(bench, trials=2)
    done = case.run(choose, a=case.claim, b=case.claim, user=case.set_budget(1))
    case.after()
    return done
