"""Histories of workers that die, freeze and lose their connections are those of a correct queue."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import URL

from tests.queue_model.linearizability import Operation, is_possible
from tests.queue_model.task_history import impossible, repeated_tokens

LEASE_SECONDS = 1.0


def claim(token: str, begin: float, end: float, attempt: int = 1) -> Operation:
    reply = {"task": 1, "token": token, "attempt": attempt}
    return Operation("claim", None, reply, begin, end)


def write(name: str, token: str, begin: float, end: float, held: bool = True) -> Operation:
    given = {"task": 1, "token": token, "result": ["completed", 0.5]}
    return Operation(name, given, {"held": held} if end < math.inf else None, begin, end)


def reap(begin: float, end: float, attempts: int = 1, strikes: int = 1) -> Operation:
    return Operation("reap", None, [[1, ["waiting", attempts, strikes]]], begin, end)


def read(status: str, attempts: int, *result: Any, strikes: int = 0) -> Operation:
    told = {"task": [status, attempts, strikes], "result": list(result)}
    return Operation("read", {"task": 1}, told, 90.0, 90.0)


LOST = math.inf
POSSIBLE = {
    "one attempt": [
        claim("a", 0, 1),
        write("finish", "a", 2, 3),
        read("done", 1, "completed", 0.5),
    ],
    "a lost reply to a finish that was written": [
        claim("a", 0, 1),
        write("finish", "a", 2, LOST),
        write("finish", "a", 4, 5, held=False),
        read("done", 1, "completed", 0.5),
    ],
    "a lost reply to a finish that was not written": [
        claim("a", 0, 1),
        write("finish", "a", 2, LOST),
        reap(4, 5),
        claim("b", 6, 7, 2),
        read("running", 2, strikes=1),
    ],
    "a worker that dies while it claims": [
        Operation("claim", None, None, 0, LOST),
        reap(4, 5),
        claim("b", 6, 7, 2),
        write("finish", "b", 8, 9),
        read("done", 2, "completed", 0.5, strikes=1),
    ],
    "a finish and a return of the task at once": [
        claim("a", 0, 1),
        write("finish", "a", 4, 7, held=False),
        reap(5, 6),
        read("waiting", 1, strikes=1),
    ],
    "a heartbeat during the return of the task": [
        claim("a", 0, 1),
        write("beat", "a", 4, 6),
        reap(3, 7),
        read("waiting", 1, strikes=1),
    ],
}
IMPOSSIBLE = {
    "a result that is lost": [claim("a", 0, 1), write("finish", "a", 2, 3), read("waiting", 1)],
    "a result without a finish": [claim("a", 0, 1), read("done", 1, "completed", 0.5)],
    "a result of another": [
        claim("a", 0, 1),
        write("finish", "a", 2, 3),
        read("done", 1, "completed", 0.25),
    ],
    "two live leases": [claim("a", 0, 1), claim("b", 2, 3, 2), write("beat", "a", 4, 5)],
    "a stale token that writes": [
        claim("a", 0, 1),
        reap(3, 4),
        claim("b", 5, 6, 2),
        write("finish", "a", 7, 8),
        read("done", 2, "completed", 0.5, strikes=1),
    ],
    "two results of one task": [
        claim("a", 0, 1),
        write("finish", "a", 2, 3),
        write("finish", "a", 4, 5),
        read("done", 1, "completed", 0.5),
    ],
    "a live lease that is refused": [claim("a", 0, 1), write("beat", "a", 2, 3, held=False)],
    "a lease that is taken too early": [
        claim("a", 0, 1),
        write("beat", "a", 5, 5.1),
        reap(5.2, 5.3),
        read("waiting", 1, strikes=1),
    ],
    "an attempt that is forgotten": [claim("a", 0, 1), reap(3, 4), claim("b", 5, 6, 1)],
    "a finished task that is claimed": [
        claim("a", 0, 1),
        write("finish", "a", 2, 3),
        claim("b", 4, 5, 2),
    ],
}


@pytest.mark.parametrize("name", POSSIBLE)
def test_possible(name: str) -> None:
    """A history that a correct queue can give is accepted."""
    assert impossible(POSSIBLE[name], LEASE_SECONDS) == []


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible(name: str) -> None:
    """A history that no correct queue can give is refused."""
    assert impossible(IMPOSSIBLE[name], LEASE_SECONDS) == [1]


def test_repeated_token() -> None:
    """A token that two attempts were given is found."""
    twice = [claim("a", 0, 1), claim("b", 2, 3), claim("a", 4, 5)]
    assert repeated_tokens(twice) == ["a"]


def register(value: int, op: Operation) -> Sequence[int]:
    """Step a variable that is written and read."""
    if op.name == "write":
        return (op.given,)
    return (value,) if op.reply in (None, value) else ()


def by_brute_force(history: Sequence[Operation]) -> bool:
    """Try every order of every set of the operations that contains the answered ones."""
    lost = [op for op in history if op.end == math.inf]
    answered = [op for op in history if op.end < math.inf]
    chosen = itertools.chain.from_iterable(
        itertools.combinations(lost, count) for count in range(len(lost) + 1)
    )
    return any(
        possible_order(order)
        for more in chosen
        for order in itertools.permutations([*answered, *more])
    )


def possible_order(order: Sequence[Operation]) -> bool:
    if any(after.end < before.begin for before, after in itertools.combinations(order, 2)):
        return False
    value = 0
    for op in order:
        after = register(value, op)
        if not after:
            return False
        (value,) = after
    return True


@st.composite
def small_histories(draw: st.DrawFn) -> list[Operation]:
    history = []
    for _ in range(draw(st.integers(1, 5))):
        begin = draw(st.integers(0, 8))
        end = draw(st.one_of(st.just(math.inf), st.integers(begin, begin + 6)))
        value = draw(st.integers(0, 2))
        if draw(st.booleans()):
            history.append(Operation("write", value, None, begin, end))
        else:
            history.append(Operation("read", None, value if end < math.inf else None, begin, end))
    return history


@settings(max_examples=300)
@given(small_histories())
def test_checker_agrees_with_brute_force(history: list[Operation]) -> None:
    """The search finds an order of a variable's writes and reads if and only if there is one."""
    assert is_possible(history, 0, register) == by_brute_force(history)


def recorded(url: URL, folder: Path, count: int, *more: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.histories", str(count), *more]
    storage = url.render_as_string(hide_password=False)
    command += ["--storage", storage, "--logs", str(folder), "--record", str(folder / "record")]
    folder.mkdir(exist_ok=True)
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    return json.loads((folder / "record").read_text("utf-8"))


@pytest.mark.postgres
@pytest.mark.process
def test_storms(url: URL, tmp_path: Path) -> None:
    """Killed, frozen and disconnected workers leave histories that a correct queue can give."""
    found = recorded(url, tmp_path, 15, "--at-once", "3")
    assert (found["histories"], found["impossible"]) == (15, [])
    assert min(found["kills"], found["freezes"], found["cuts"], found["lost"]) > 0
    again = recorded(url, tmp_path, 15)
    assert again == found


@pytest.mark.postgres
@pytest.mark.process
def test_fault_is_found(url: URL, tmp_path: Path) -> None:
    """Leases that are taken before their end leave histories that no correct queue can give."""
    found = recorded(
        url, tmp_path, 4, "--at-once", "2", "--fault", "a lease is taken before its end"
    )
    assert found["impossible"]
