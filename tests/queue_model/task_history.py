"""What a correct queue may do with one task, and the history of each task in workers' logs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.queue_model.linearizability import Operation, is_possible

MOST_STRIKES = 3
# Two clocks of one machine, which differ by less over the length of a lease.
_SLACK_SECONDS = 0.02


@dataclass(frozen=True)
class Task:
    """A task between two operations.

    Attributes:
        status: waiting, running or done.
        token: Of the current or last attempt; None: it is unknown, or there is none.
        attempts: Number of attempts begun.
        strikes: Number of attempts whose worker died.
        result: Outcome and value; of a copy, the outcome alone.
        held_until: Before this time, in seconds, its lease cannot have expired.
    """

    status: str = "waiting"
    token: str | None = None
    attempts: int = 0
    strikes: int = 0
    result: tuple[Any, ...] = ()
    held_until: float = -math.inf


def step(lease_seconds: float) -> Any:
    """Return the specification of a task, as `is_possible` takes it."""

    def after(task: Task, op: Operation) -> Sequence[Task]:
        return _STEPS[op.name](task, op, op.begin + lease_seconds)

    return after


def _claim(task: Task, op: Operation, until: float) -> Sequence[Task]:
    if task.status != "waiting":
        return ()
    begun = replace(task, status="running", attempts=task.attempts + 1, held_until=until)
    if op.reply is None:  # its token is unknown
        return (replace(begun, token=None, held_until=-math.inf),)
    return (
        (replace(begun, token=op.reply["token"]),) if op.reply["attempt"] == begun.attempts else ()
    )


def _of_lease(task: Task, op: Operation, after: Task) -> Sequence[Task]:
    """Return what an operation that names a lease leaves: `after` if it is live, else nothing."""
    live = task.status == "running" and task.token == op.given["token"]
    if op.reply is None:
        return (after,) if live else ()
    return (after if live else task,) if op.reply["held"] == live else ()


def _beat(task: Task, op: Operation, until: float) -> Sequence[Task]:
    return _of_lease(task, op, replace(task, held_until=max(task.held_until, until)))


def _report(task: Task, op: Operation, until: float) -> Sequence[Task]:
    return _of_lease(task, op, task)


def _copy(task: Task, op: Operation, until: float) -> Sequence[Task]:
    if op.reply == {}:  # there was nothing to copy
        return (task,)
    return _finish(task, op, until)


def _finish(task: Task, op: Operation, until: float) -> Sequence[Task]:
    return _of_lease(task, op, replace(task, status="done", result=tuple(op.given["result"])))


def _give_back(task: Task, op: Operation, until: float) -> Sequence[Task]:
    return _of_lease(task, op, replace(task, status="waiting"))


def _reap(task: Task, op: Operation, until: float) -> Sequence[Task]:
    if task.status != "running" or op.end < task.held_until - _SLACK_SECONDS:
        return ()
    strikes = task.strikes + 1
    last = strikes == MOST_STRIKES
    status, result = ("done", ("failed",)) if last else ("waiting", ())
    got = replace(task, status=status, strikes=strikes, result=result)
    return (got,) if op.reply in (None, _told(got)) else ()


def _read(task: Task, op: Operation, until: float) -> Sequence[Task]:
    """Compare a task's row after everything; a copy's value is that of another task.

    A task that was begun and waits again may be withdrawn when it is no longer needed.
    """
    if op.reply.get("withdrawn"):
        if task.status != "waiting" or not task.attempts:
            return ()
        task = replace(task, status="done", result=("failed",))
    wanted = op.reply["result"][: len(task.result)]
    return (task,) if _told(task) == op.reply["task"] and list(task.result) == wanted else ()


_STEPS = {
    "claim": _claim,
    "beat": _beat,
    "report": _report,
    "finish": _finish,
    "copy": _copy,
    "give_back": _give_back,
    "reap": _reap,
    "read": _read,
}


def _told(task: Task) -> list[Any]:
    return [task.status, task.attempts, task.strikes]


def read_log(path: Path) -> list[Operation]:
    """Read the operations of one process, whose last may lack an end."""
    begun: dict[int, Operation] = {}
    for line in path.read_text("utf-8").split("\n"):
        try:
            told = json.loads(line)
        except ValueError:
            continue  # the process died while it wrote this line
        if "name" in told:
            begun[told["n"]] = Operation(told["name"], told["given"], None, told["begin"])
        else:
            begun[told["n"]] = replace(begun[told["n"]], reply=told["reply"], end=told["end"])
    return list(begun.values())


def histories(operations: Iterable[Operation]) -> Mapping[int, list[Operation]]:
    """Return the history of each task.

    A claim that was not answered may be of any task, as may those that a check for expired leases
    took; a claim that found nothing says nothing of any one task.
    """
    found: dict[int, list[Operation]] = {}
    anyone = []
    for op in operations:
        if op.name in ("claim", "reap") and op.reply is None:
            anyone.append(op)
        elif op.name == "reap":
            for task_id, told in op.reply:
                found.setdefault(task_id, []).append(replace(op, reply=told))
        elif op.name == "claim":
            if op.reply:
                found.setdefault(op.reply["task"], []).append(op)
        else:
            found.setdefault(op.given["task"], []).append(op)
    return {task_id: [*history, *anyone] for task_id, history in found.items()}


def impossible(operations: Sequence[Operation], lease_seconds: float) -> list[int]:
    """Return the ids of the tasks whose history no correct queue gives."""
    after = step(lease_seconds)
    return [
        task_id
        for task_id, history in histories(operations).items()
        if not is_possible(history, Task(), after)
    ]


def repeated_tokens(operations: Iterable[Operation]) -> list[str]:
    """Return the tokens that were given out twice."""
    claims = [op.reply["token"] for op in operations if op.name == "claim" and op.reply]
    return sorted({token for token in claims if claims.count(token) > 1})
