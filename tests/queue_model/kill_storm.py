"""Studies whose worker processes are killed, frozen and cut off at random, and their histories.

A worker is a fork of this process, with the product's own client and training that only waits. It
writes each operation down before it asks and after it is answered.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy import URL, Connection, NullPool, bindparam, create_engine, delete, select, text
from sqlalchemy.exc import DBAPIError

from tests.queue_model.bench import AFTER, BEFORE, Line
from tests.queue_model.linearizability import Operation
from tests.queue_model.snapshot import check, check_counts, snapshot
from tests.queue_model.task_history import impossible, read_log, repeated_tokens
from tests.support.studies import CARD, FakeJudge, completed, epochs, spec_of
from trainstack.search.database.connection import engine
from trainstack.search.database.schema import studies, tasks, workers
from trainstack.search.queue import (
    attempts,
    claiming,
    deduplication,
    recovery,
    study_store,
    worker_registry,
)
from trainstack.search.queue.lease import Lease
from trainstack.search.queue.rows import TaskRow
from trainstack.search.records import Outcome, Result
from trainstack.search.studies.opening import Opened, open_study
from trainstack.search.studies.worker_client import LeaseLost, WorkerCard, WorkerClient
from trainstack.spaces.errors import StorageAwayError
from trainstack.spaces.references import REFERENCES

WORKERS, TRIALS, LEASE_SECONDS = 3, 3, 0.5
# A study that has not ended by then never does.
_PATIENCE_SECONDS = 120.0
# Compiled once, by the process that forks the workers.
_COMPILED: dict[Any, Any] = {}
_AWAY = (StorageAwayError, DBAPIError)


@dataclass(frozen=True)
class Verdict:
    """What one history shows.

    Attributes:
        seed: Seed of what befell the workers and of what they did.
        operations: Number of operations.
        lost: Those that were not answered.
        kills: Processes killed.
        freezes: Processes stopped for longer than a lease may last.
        cuts: Connections closed by the server.
        wrong: What no correct queue does; empty: nothing.
    """

    seed: int
    operations: int
    lost: int
    kills: int
    freezes: int
    cuts: int
    wrong: list[str]


class _Log:
    """Writes operations down; what was written stays if the process is killed."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._count = 0

    def _write(self, **record: Any) -> None:
        os.write(self._file, (json.dumps(record) + "\n").encode())

    def call(
        self, name: str, given: Any, as_json: Callable[[Any], Any], act: Callable[[], Any]
    ) -> Any:
        """Carry out an operation; a lost connection leaves it without an end."""
        self._count += 1
        n = self._count
        self._write(n=n, name=name, given=given, begin=time.monotonic())
        try:
            reply = act()
        except LeaseLost:
            self._write(n=n, reply={"held": False}, end=time.monotonic())
            raise
        self._write(n=n, reply=as_json(reply), end=time.monotonic())
        return reply


def _told_claim(row: TaskRow | None) -> dict[str, Any]:
    return {} if row is None else {"task": row.task_id, "token": row.token, "attempt": row.attempts}


def _told_reap(rows: list[TaskRow] | None) -> list[Any]:
    return [[r.task_id, [r.status, r.attempts, r.strikes]] for r in rows or []]


def _told_held(reply: Any) -> dict[str, bool]:
    return {"held": reply is not None}


def _told_copy(found: bool) -> dict[str, bool]:
    return {"held": True} if found else {}


@contextlib.contextmanager
def _recording(log: _Log) -> Iterator[None]:
    """Let this process write down every transaction of its queue."""

    def lease(task_id: int, token: str | None, **more: Any) -> dict[str, Any]:
        return {"task": task_id, "token": token, **more}

    claim, beat, end = claiming.claim, attempts.heartbeat, attempts.finish
    back, reap, copy = (
        attempts.give_back,
        recovery.requeue_expired,
        deduplication.finish_as_duplicate,
    )

    def claimed(*given: Any) -> Any:
        return log.call("claim", None, _told_claim, lambda: claim(*given))

    def beaten(engine: Any, worker_id: int, state: str, held: Any, seconds: float) -> Any:
        act = functools.partial(beat, engine, worker_id, state, held, seconds)
        return log.call("beat", lease(*held), _told_held, act) if held else act()

    def finished(engine: Any, task_id: int, token: str, result: Result) -> Any:
        given = lease(task_id, token, result=[result.outcome, result.value])
        return log.call("finish", given, _told_held, lambda: end(engine, task_id, token, result))

    def given_back(engine: Any, task_id: int, token: str, cause: str) -> Any:
        act = functools.partial(back, engine, task_id, token, cause)
        return log.call("give_back", lease(task_id, token), _told_held, act)

    def reaped(*given: Any) -> Any:
        return log.call("reap", None, _told_reap, lambda: reap(*given))

    def copied(engine: Any, row: TaskRow) -> bool:
        given = lease(row.task_id, row.token, result=["completed"])

        return log.call("copy", given, _told_copy, lambda: copy(engine, row))

    with contextlib.ExitStack() as stack:
        for module, name, recorded in (
            (claiming, "claim", claimed),
            (attempts, "heartbeat", beaten),
            (attempts, "finish", finished),
            (attempts, "give_back", given_back),
            (recovery, "requeue_expired", reaped),
            (deduplication, "finish_as_duplicate", copied),
        ):
            stack.enter_context(mock.patch.object(module, name, recorded))
        yield


def work(url: URL, study: str, path: Path, dice: random.Random) -> None:
    """Work on a study until it has ended, as a worker of the product does.

    Args:
        url: The database.
        study: Name of the study.
        path: The log to write.
        dice: Choices of what this worker does.
    """
    log, line, card = _Log(path), Line(engine(url)), replace(CARD, pid=os.getpid())
    line.engine.update_execution_options(compiled_cache=_COMPILED)
    with _recording(log):
        opened, worker_id = _join(line, study, card)
        client = WorkerClient(
            line.engine,
            opened,
            (worker_id, card),
            0,
            lease_seconds=LEASE_SECONDS,
            requeue_seconds=LEASE_SECONDS / 5,
            judge=FakeJudge(),
        )
        stacks = list(REFERENCES.values())[:5]
        client._decisions.proposals.propose = lambda: (dice.choice(stacks), {})  # type: ignore[method-assign]
        while True:
            with contextlib.suppress(LeaseLost, *_AWAY):
                _trouble(line, dice)
                lease = client.claim()
                if lease is not None:
                    _train(client, lease, line, dice, log)
                elif client.advance() == study_store.CONCLUDED:
                    break
                else:
                    time.sleep(dice.uniform(0.04, 0.12))
    line.engine.dispose()


def _trouble(line: Line, dice: random.Random) -> None:
    fault = dice.choice((BEFORE, AFTER)) if dice.random() < 0.04 else ""
    line.break_at(fault, dice.randint(1, 2))


def _train(client: WorkerClient, lease: Lease, line: Line, dice: random.Random, log: _Log) -> None:
    """Pretend to train, and end the task.

    Raises:
        LeaseLost: Another worker has the task.
    """
    given = {"task": lease.task_id, "token": lease.token}
    for epoch in range(1, dice.randint(1, 4)):
        time.sleep(dice.uniform(0.01, 0.1))
        _trouble(line, dice)
        act = functools.partial(client.report, lease, epochs(1, epoch))
        with contextlib.suppress(*_AWAY):
            client.heartbeat(lease)
            log.call("report", given, lambda _: {"held": True}, act)
    kind = dice.random()
    failed = Result(Outcome.FAILED, cause="a bug")
    result = completed(round(dice.random(), 6)) if kind < 0.9 else failed
    # Again after a lost connection, as the product's queue of writes does.
    for _ in range(3):
        _trouble(line, dice)
        with contextlib.suppress(*_AWAY):
            if 0.8 < kind < 0.9:
                client.give_back(lease)
            else:
                client.finish(lease, result)
            return


def _join(line: Line, study: str, card: WorkerCard) -> tuple[Opened, int]:
    while True:
        with contextlib.suppress(*_AWAY):
            opened = open_study(line.engine, study)
            return opened, worker_registry.join(line.engine, opened.row.study_id, card)[0]


def _fork(act: Callable[[], None]) -> int:
    """Start a process that carries out an act; return its id."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        act()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


@contextlib.contextmanager
def _asking(url: URL) -> Iterator[Any]:
    """Yield a connection that is closed at once, so that no fork inherits it."""
    here = create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"application_name": "storm"},
    )
    with here.connect() as connection:
        yield connection
    here.dispose()


class _Crew:
    """The processes of a study, and what befalls them."""

    def __init__(self, url: URL, study: str, folder: Path, seed: int) -> None:
        self._url, self._study, self._folder, self._seed = url, study, folder, seed
        self.dice, self._count = random.Random(seed), 0
        self.kills = self.freezes = self.cuts = 0
        self.pids = [self._join() for _ in range(WORKERS)]

    def _join(self) -> int:
        self._count += 1
        path = self._folder / f"{self._count}.log"
        dice = random.Random(f"{self._seed}/{self._count}")
        return _fork(lambda: work(self._url, self._study, path, dice))

    def kill(self) -> None:
        """Kill a process, and let another join."""
        victim = self.dice.randrange(WORKERS)
        os.kill(self.pids[victim], signal.SIGKILL)
        os.waitpid(self.pids[victim], 0)
        self.pids[victim] = self._join()
        self.kills += 1

    def freeze(self) -> None:
        """Stop a process that trains, until another has its task or twice a lease has passed."""
        with _asking(self._url) as connection:
            held, until = [], time.monotonic() + 4 * LEASE_SECONDS
            while not held:
                if time.monotonic() > until:
                    return
                time.sleep(0.03)
                rows = connection.execute(_HELD, {"study": self._study})
                held = [row for row in rows if row.pid in self.pids]
            victim = self.dice.choice(held)
            os.kill(victim.pid, signal.SIGSTOP)
            until, now = time.monotonic() + 2 * LEASE_SECONDS, [victim]
            while time.monotonic() < until and victim in now:
                time.sleep(0.03)
                now = connection.execute(_HELD, {"study": self._study}).all()
                if not any(row.task_id == victim.task_id for row in now):
                    now.append(victim)  # it waits
        os.kill(victim.pid, signal.SIGCONT)
        self.freezes += 1

    def cut(self) -> None:
        """Close the connection of a process from the server's side."""
        with _asking(self._url) as connection:
            connection.execute(_CUT)
        self.cuts += 1

    def end(self) -> list[str]:
        """Wait for the end of all; return what is wrong with it."""
        wrong, until = [], time.monotonic() + _PATIENCE_SECONDS
        for pid in self.pids:
            while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
                if time.monotonic() > until:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.01)
            if ended[1]:
                killed = os.WIFSIGNALED(ended[1])
                wrong.append("a worker never ends" if killed else "a worker ended with an error")
        return wrong


_HELD = (
    select(tasks.c.task_id, tasks.c.token, workers.c.pid)
    .join(workers, workers.c.worker_id == tasks.c.worker_id)
    .join(studies, studies.c.study_id == tasks.c.study_id)
    .where(studies.c.name == bindparam("study"), tasks.c.status == "running")
)
_CUT = text(
    "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity"
    " WHERE application_name = 'trainstack' AND datname = current_database()"
    " ORDER BY random() LIMIT 1) victim"
)


def storm(url: URL, seed: int, folder: Path) -> Verdict:
    """Let workers be killed, frozen and cut off while they work on a small study.

    Args:
        url: The database, with the product's tables.
        seed: Of all choices, though not of the moments at which processes reach them.
        folder: An empty folder for the workers' logs.
    """
    study = folder.name
    with _asking(url) as connection:
        study_store.create(connection.engine, spec_of(study, trials=TRIALS, replicates=1), ())
    crew = _Crew(url, study, folder, seed)
    dice = crew.dice
    acts = [crew.kill] * dice.randint(1, 3)
    acts += [crew.freeze] * dice.randint(1, 3) + [crew.cut] * dice.randint(0, 2)
    dice.shuffle(acts)
    for act in acts:
        time.sleep(dice.uniform(0.02, 0.25))
        act()
    wrong = crew.end()
    operations = [op for path in sorted(folder.glob("*.log")) for op in read_log(path)]
    with _asking(url) as connection:
        mine = select(studies.c.study_id).where(studies.c.name == study)
        study_id = connection.execute(mine).scalar_one()
        wrong += _contradictions(connection, study_id)
        reads = [_read(row) for row in connection.execute(_ROWS, {"study_id": study_id})]
        connection.execute(delete(studies).where(studies.c.study_id == study_id))
    operations += reads
    wrong += [f"task {task_id}" for task_id in impossible(operations, LEASE_SECONDS)]
    wrong += [f"token {token} twice" for token in repeated_tokens(operations)]
    lost = sum(op.end == math.inf for op in operations)
    counts = (len(operations), lost, crew.kills, crew.freezes, crew.cuts)
    return Verdict(seed, *counts, wrong)


_ROWS = select(tasks).where(tasks.c.study_id == bindparam("study_id"))


def _read(row: Any) -> Operation:
    """Return the operation that reads a task when every process has ended."""
    now = time.monotonic()
    reply = {"task": [row.status, row.attempts, row.strikes], "result": [row.outcome, row.value]}
    reply["withdrawn"] = row.cause == "withdrawn"
    return Operation("read", {"task": row.task_id}, reply, now, now)


def _contradictions(connection: Connection, study_id: int) -> list[str]:
    """Return what the tables say that cannot be true at once, or at the end."""
    seen = snapshot(connection, study_id)
    try:
        check(seen)
        check_counts(connection, seen)
    except AssertionError as error:
        return [f"the tables: {error}"]
    left = [task.task_id for task in seen.tasks.values() if task.status != "done"]
    return [f"tasks {left} never end"] if left else []
