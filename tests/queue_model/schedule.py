"""A scheduler of transactions: threads that stop wherever a transaction begins or ends.

One thread runs at a time, up to where its transaction begins or is about to end; which is next is a
choice. A thread that waits for a lock of another's transaction counts as blocked until that ends,
which PostgreSQL itself knows (`pg_blocking_pids`). Its server process is stopped meanwhile, so that
of several threads that one commit releases, the first to have come goes on alone, then the next.
So a list of choices gives one run, always the same, and all lists are tried for a short program:
stateless model checking, see Godefroid, "Model checking for programming languages using VeriSoft",
POPL 1997.

The server must be on this machine, and must not look for deadlocks itself (`deadlock_timeout`),
for which a process takes locks that it must not be stopped with.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event, text

Program = Callable[[Engine], Any]
# Longer than any statement on a busy machine.
_PATIENCE_SECONDS = 60.0
# Waiting for one of ours; others, such as a vacuum, only delay.
_BLOCKED = text(
    "SELECT pid FROM unnest(CAST(:pids AS int[])) pid"
    " WHERE pg_blocking_pids(pid) && CAST(:ours AS int[])"
)


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        choices: At each point the chosen one of those that could go on, by its place among them.
        enabled: At each point those that could go on.
        replies: What each program returned or raised.
    """

    choices: tuple[int, ...]
    enabled: tuple[tuple[str, ...], ...]
    replies: Mapping[str, Any]


class _Actor:
    def __init__(self, name: str, engine: Engine, program: Program, turn: threading.Condition):
        self.name, self.reply, self.pid = name, None, 0
        self.is_running, self.is_over, self._go = True, False, False
        self._turn, self._engine, self._program = turn, engine, program
        self._thread = threading.Thread(target=self._act, daemon=True)
        for boundary in ("begin", "commit", "rollback"):
            event.listen(engine, boundary, self._stop)

    def start(self) -> None:
        self._thread.start()

    def _act(self) -> None:
        try:
            self.reply = self._program(self._engine)
        except Exception as error:
            self.reply = error
        with self._turn:
            self.is_running, self.is_over = False, True
            self._turn.notify_all()

    def _stop(self, connection: Connection) -> None:
        with self._turn:
            self.pid = connection.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
            self.is_running = False
            self._turn.notify_all()
            assert self._turn.wait_for(lambda: self._go, _PATIENCE_SECONDS)
            self._go = False

    def go(self) -> None:
        self.is_running = self._go = True
        self._turn.notify_all()

    def end(self) -> None:
        for boundary in ("begin", "commit", "rollback"):
            event.remove(self._engine, boundary, self._stop)
        self._thread.join(_PATIENCE_SECONDS)


def run(
    watching: Connection,
    programs: Mapping[str, tuple[Engine, Program]],
    choose: Callable[[int, Sequence[str]], int],
) -> Run:
    """Run programs together.

    Args:
        watching: A connection of its own, to ask who waits for whom.
        programs: Name → engine and program.
        choose: Given the number of the point and the names of those that can go on, returns the
            place of the next.

    Raises:
        AssertionError: All wait for each other.
    """
    turn = threading.Condition()
    actors = [_Actor(name, *program, turn) for name, program in programs.items()]
    choices: list[int] = []
    enabled: list[tuple[str, ...]] = []
    line: list[_Actor] = []  # those that wait for a lock, in the order in which they came
    try:
        for actor in actors:
            with turn:
                actor.start()
                _settle(watching, actors, line, actor, turn)
        while not all(actor.is_over for actor in actors):
            with turn:
                ready = [actor for actor in actors if not actor.is_running and not actor.is_over]
                assert ready, f"all wait for each other after {choices}"
                enabled.append(tuple(actor.name for actor in ready))
                choices.append(choose(len(choices), enabled[-1]))
                ready[choices[-1]].go()
                _settle(watching, actors, line, ready[choices[-1]], turn)
    finally:
        for actor in line:
            os.kill(actor.pid, signal.SIGCONT)
    for actor in actors:
        actor.end()
    replies = {actor.name: actor.reply for actor in actors}
    return Run(tuple(choices), tuple(enabled), replies)


def _settle(
    watching: Connection,
    actors: Sequence[_Actor],
    line: list[_Actor],
    going: _Actor,
    turn: threading.Condition,
) -> None:
    """Wait until a thread, and then each that it has released, has stopped, ended or is blocked."""
    ours = [actor.pid for actor in actors]
    while True:
        while going.is_running:
            turn.wait(0.002)
            if going.is_running and _blocked(watching, [going], ours):
                os.kill(going.pid, signal.SIGSTOP)
                line.append(going)
                break
        # Locks are handed over before a commit is answered, so nothing is granted later.
        blocked = _blocked(watching, line, ours) if line else set()
        released = [actor for actor in line if actor.pid not in blocked]
        if not released:
            return
        going = released[0]
        line.remove(going)
        os.kill(going.pid, signal.SIGCONT)


def _blocked(watching: Connection, actors: Sequence[_Actor], ours: Sequence[int]) -> set[int]:
    """Return the processes that wait for a lock of one of ours."""
    pids = [actor.pid for actor in actors]
    return set(watching.execute(_BLOCKED, {"pids": pids, "ours": list(ours)}).scalars())


def by_choices(choices: Sequence[int]) -> Callable[[int, Sequence[str]], int]:
    """Return a chooser that follows a list, and then always takes the first."""
    return lambda point, ready: choices[point] if point < len(choices) else 0


def by_seed(seed: int) -> Callable[[int, Sequence[str]], int]:
    """Return a chooser that draws."""
    dice = random.Random(seed)
    return lambda point, ready: dice.randrange(len(ready))


def every(once: Callable[[Callable[[int, Sequence[str]], int]], Run]) -> Iterator[Run]:
    """Yield the run of every list of choices, each once.

    Args:
        once: Runs the programs anew, from the same state.
    """
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        prefix = waiting.pop()
        done = once(by_choices(prefix))
        for point in range(len(prefix), len(done.choices)):
            for other in range(1, len(done.enabled[point])):
                waiting.append((*done.choices[:point], other))
        yield done
