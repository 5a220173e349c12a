"""What each operation may do to the tables, written down independently of the product."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import OperationalError

from tests.queue_model.did import Did
from tests.queue_model.snapshot import Snapshot, Task
from trainstack.search.queue.lease import HeartbeatReply, Lease
from trainstack.search.records import COUNTED
from trainstack.search.studies.worker_client import INTERRUPTED, LeaseLost
from trainstack.spaces.errors import RequestError, StorageAwayError

LEASE, MOST_STRIKES = timedelta(seconds=60), 3
# Operations that need the worker's row, and so register a removed worker again.
_REGISTER = ("claim", "beat", "idle", "quarantine")
# Operations of several transactions, of which the first may be committed when the line breaks.
_SEVERAL = ("claim", "advance", "maintain")

# The tasks that differ: before (None: new) and after (None: dropped).
Changes = Mapping[int, tuple[Task | None, Task | None]]


def is_away(reply: Any) -> bool:
    """Return whether the database did not answer."""
    return isinstance(reply, StorageAwayError | OperationalError)


def check(did: Did, before: Snapshot, after: Snapshot, now: datetime, tokens: set[str]) -> None:
    """Check that an operation did what it should, and nothing else.

    Args:
        did: The operation.
        before: The tables before it.
        after: The tables after it.
        now: The database's time.
        tokens: Every token that a task had before.

    Raises:
        AssertionError: It did not.
    """
    _registered(did, before.workers, after.workers)
    old, new = before.tasks, after.tasks
    changes: Changes = {
        k: (old.get(k), new.get(k)) for k in old.keys() | new.keys() if old.get(k) != new.get(k)
    }
    if did.name not in _SEVERAL and did.fault == "before the commit":
        assert not changes, f"written without a commit: {changes}"
        return
    fresh = [
        a.token for b, a in changes.values() if a and a.token and (not b or b.token != a.token)
    ]
    assert did.name == "claim" or not fresh, f"a token without a claim: {changes}"
    assert not tokens & set(fresh), "a token was given out twice"
    if did.lease is not None:
        _leased(did, before, changes, now)
    else:
        _EFFECTS.get(did.name, _none)(did, before, after, changes, now)


def _registered(did: Did, before: frozenset[int], after: frozenset[int]) -> None:
    """Check which workers have a row."""
    if did.name == "remove":
        assert after == before - {did.worker_id}
    elif did.name == "crash":
        assert before < after
        assert len(after - before) == 1
    elif did.name in _REGISTER:
        assert did.fault or did.worker_id in after, "a worker without a row"
        assert before <= after <= before | {did.worker_id}
    else:
        assert after == before


def _leased(did: Did, before: Snapshot, changes: Changes, now: datetime) -> None:
    """Check an operation that names a lease: all of it if the lease is live, else nothing."""
    assert did.lease is not None
    task = before.tasks.get(did.lease.task_id)
    live = task is not None and task.status == "running" and task.token == did.lease.token
    refused = isinstance(did.reply, LeaseLost) or did.reply is HeartbeatReply.LOST
    if not live:
        assert refused or did.fault, f"a stale lease was accepted: {did.reply}"
        assert not changes, f"a stale lease has written: {changes}"
        return
    assert task is not None
    assert not refused, "a live lease was refused"
    assert did.reply is None or did.fault or did.reply == before.study.requested_state, did.reply
    wanted = _WANTED[did.name](task, did, before, now)
    if did.fault and did.worker_id not in before.workers:
        wanted = [*wanted, task]  # it may have been cut off when it was registered again
    got = changes.get(task.task_id, (task, task))[1]
    assert len(changes.keys() - {task.task_id}) == 0, f"another task was changed: {changes}"
    assert got in wanted, f"{got} instead of {wanted}"


def _beaten(task: Task, did: Did, before: Snapshot, now: datetime) -> list[Task]:
    return [replace(task, lease_until=now + LEASE, worker_id=did.worker_id)]


def _reported(task: Task, did: Did, before: Snapshot, now: datetime) -> list[Task]:
    losses = [m.minimized for m in did.argument]
    return [replace(task, curve=losses + task.curve[len(losses) :])]


def _finished(task: Task, did: Did, before: Snapshot, now: datetime) -> list[Task]:
    result = did.argument
    return [
        replace(
            task,
            status="done",
            outcome=str(result.outcome),
            lease_until=None,
            open=0,
            value=result.value,
            cause=result.cause,
            curve=[m.minimized for m in result.measurements] or task.curve,
        )
    ]


def _returned(task: Task, cause: str) -> Task:
    strikes = task.strikes + (cause != INTERRUPTED)
    if strikes < MOST_STRIKES:
        idle: dict[str, Any] = {"status": "waiting", "token": None, "lease_until": None, "open": 0}
        return replace(task, **idle, strikes=strikes, cause=cause)
    why = f"{cause} (attempt {task.attempts}, the last)"
    done: dict[str, Any] = {"status": "done", "outcome": "failed", "lease_until": None, "open": 0}
    return replace(task, **done, strikes=strikes, cause=why)


def _given_back(task: Task, did: Did, before: Snapshot, now: datetime) -> list[Task]:
    return [_returned(task, did.argument)]


def _without_room(task: Task, did: Did, before: Snapshot, now: datetime) -> list[Task]:
    cause = did.argument
    ended: dict[str, Any] = {
        "status": "done",
        "outcome": "infeasible",
        "lease_until": None,
        "open": 0,
    }
    moved = replace(_returned(task, cause), avoided_worker=did.worker_id)
    return [replace(task, **ended, cause=cause), *([moved] if task.avoided_worker is None else [])]


_WANTED: dict[str, Callable[[Task, Did, Snapshot, datetime], list[Task]]] = {
    "beat": _beaten,
    "report": _reported,
    "finish": _finished,
    "give_back": _given_back,
    "no_room": _without_room,
}


def _none(did: Did, before: Snapshot, after: Snapshot, changes: Changes, now: datetime) -> None:
    assert not changes, f"{did.name} changes no task: {changes}"


def _claimed(did: Did, before: Snapshot, after: Snapshot, changes: Changes, now: datetime) -> None:
    begun = []
    for was, task in changes.values():
        assert task is not None, f"dropped: {was}"
        if was is not None and was.token is not None and was.token == did.undone:
            was = replace(_returned(was, INTERRUPTED))  # noqa: PLW2901 - the claim begins with it
            if task == was:
                continue
        assert was is None or was.status == "waiting", f"claimed from {was}"
        assert task.attempts == (was.attempts if was else 0) + 1, f"attempts: {was} {task}"
        assert task.strikes == (was.strikes if was else 0)
        assert task.worker_id == did.worker_id
        if task.status == "running":
            assert task.lease_until == now + LEASE
            begun.append(task)
            kinds = _open_kinds(before)
            assert task.kind in kinds, f"{task.kind} begun in {before.study.requested_state}"
        else:
            assert task.status == "waiting" or task.cached_of is not None, f"ended: {task}"
    if isinstance(did.reply, Lease):
        assert [(t.task_id, t.token) for t in begun] == [(did.reply.task_id, did.reply.token)]
    else:
        assert len(begun) <= (1 if did.fault else 0), f"begun without a reply: {begun}"
    if did.reply is None:
        waiting = [t for t in after.tasks.values() if t.status == "waiting"]
        free = [t for t in waiting if t.kind in _open_kinds(after) and t.avoided_worker is None]
        assert not free, f"nothing was claimed, but there is {free}"


def _open_kinds(state: Snapshot) -> list[str]:
    study = state.study
    if study.phase == "searching":
        over = study.failed >= max(10, study.trials)
        return ["search"] if study.requested_state == "go" and not over else []
    if study.phase != "confirming" or study.requested_state not in ("go", "stop"):
        return []
    measuring = any(t.kind == "measurement" and t.status != "done" for t in state.tasks.values())
    confirmation = ["confirmation"] * (study.requested_state == "go")
    return ["measurement", "refit"] * measuring + confirmation


def _reaped(did: Did, before: Snapshot, after: Snapshot, changes: Changes, now: datetime) -> None:
    late = {
        k: _returned(task, "lease expired: the worker stopped responding")
        for k, task in before.tasks.items()
        if task.lease_until is not None and task.lease_until < now
    }
    assert {k: after for k, (_, after) in changes.items()} == late, f"{changes} instead of {late}"
    assert did.fault or did.reply == len(late), did.reply


def _kept(did: Did, before: Snapshot, after: Snapshot, changes: Changes, now: datetime) -> None:
    """Check maintenance: the late tasks wait again, or every lease is set anew, or nothing."""
    checked = before.study.expiry_checked_at
    if not did.fault and (checked is None or not now - timedelta(seconds=10) < checked <= now):
        assert after.study.expiry_checked_at == now, "not looked at"
        late = [t for t in after.tasks.values() if t.lease_until and t.lease_until > now + LEASE]
        assert not late, f"a lease that lasts for too long: {late}"
    if all(b and a and replace(b, lease_until=a.lease_until) == a for b, a in changes.values()):
        leases = [a.lease_until for _, a in changes.values() if a]
        assert all(until == now + LEASE / 2 for until in leases), changes
        return
    _reaped(replace(did, fault="any reply"), before, after, changes, now)


def _advanced(did: Did, before: Snapshot, after: Snapshot, changes: Changes, now: datetime) -> None:
    for was, task in changes.values():
        if was is None:
            assert task is not None
            assert (task.kind != "search", task.status, task.attempts) == (True, "waiting", 0)
        elif task is None:
            assert (was.status, was.attempts) == ("waiting", 0), f"dropped: {was}"
        else:
            ended: dict[str, Any] = {"status": "done", "outcome": "failed", "cause": "withdrawn"}
            assert was.status == "waiting", f"advance changed {was}"
            assert task == replace(was, **ended), f"advance made {task} of {was}"


def _voided(did: Did, before: Snapshot, after: Snapshot, changes: Changes, now: datetime) -> None:
    subject: Task = did.argument
    if isinstance(did.reply, RequestError):
        assert subject.status != "done", did.reply
        assert not changes
        return
    counted = [str(word) for word in COUNTED]
    wanted = {
        k: replace(task, outcome="voided", cause="spoilt")
        for k, task in before.tasks.items()
        if subject.task_id in (k, task.cached_of) and task.outcome in counted
    }
    assert {k: after for k, (_, after) in changes.items()} == wanted, f"voided {changes}"


def _quarantined(
    did: Did, before: Snapshot, after: Snapshot, changes: Changes, now: datetime
) -> None:
    for was, task in changes.values():
        assert was is not None
        assert task is not None
        assert (was.outcome, was.worker_id) == ("failed", did.worker_id), f"not its own: {was}"
        again: dict[str, Any] = {"status": "waiting", "outcome": None, "token": None}
        assert task == replace(was, **again, cause="sick", strikes=1), task


def _removed(did: Did, before: Snapshot, after: Snapshot, changes: Changes, now: datetime) -> None:
    for was, task in changes.values():
        assert was is not None
        assert was.worker_id == did.worker_id
        assert task == replace(was, worker_id=None)


_EFFECTS: dict[str, Callable[[Did, Snapshot, Snapshot, Changes, datetime], None]] = {
    "claim": _claimed,
    "reap": _reaped,
    "maintain": _kept,
    "advance": _advanced,
    "void": _voided,
    "quarantine": _quarantined,
    "remove": _removed,
}
