"""What the queue's tables hold at one moment, and what must be true of it at every moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from trainstack.search.database.schema import attempts, studies, tasks, workers
from trainstack.search.queue import queries
from trainstack.search.records import COUNTED, OUTCOMES, TaskKind


@dataclass(frozen=True)
class Task:
    """A task's row, without what the export to Optuna marks.

    Attributes:
        begun: Recorded attempts.
        open: Those of them that have not ended.
    """

    task_id: int
    kind: str
    status: str
    outcome: str | None
    token: str | None
    lease_until: datetime | None
    worker_id: int | None
    attempts: int
    strikes: int
    value: float | None
    curve: Sequence[float]
    cause: str | None
    number: int | None
    cached_of: int | None
    stack_id: str | None
    avoided_worker: int | None
    begun: int
    open: int


@dataclass(frozen=True)
class Study:
    """Columns of a study's row."""

    study_id: int
    phase: str
    requested_state: str
    trials: int
    held: int
    failed: int
    voided: int
    expiry_checked_at: datetime | None


@dataclass(frozen=True)
class Snapshot:
    """A study's row, its tasks, and the ids of its workers."""

    study: Study
    tasks: Mapping[int, Task]
    workers: frozenset[int]


def snapshot(connection: Connection, study_id: int) -> Snapshot:
    """Read a study, while nothing writes to it."""
    here = {"study_id": study_id}
    *columns, present = connection.execute(_STUDY, here).one()
    rows = [Task(*row) for row in connection.execute(_TASKS, here)]
    return Snapshot(Study(*columns), {row.task_id: row for row in rows}, frozenset(present))


def check(now: Snapshot) -> None:
    """Check what holds in every state.

    Raises:
        AssertionError: It does not.
    """
    for task in now.tasks.values():
        running, done = task.status == "running", task.status == "done"
        assert (task.lease_until is not None) == running, f"a lease without a run: {task}"
        assert done or (task.token is not None) == running, f"a token without a run: {task}"
        assert (task.outcome is not None) == done, f"an outcome without an end: {task}"
        assert (task.begun, task.open) == (task.attempts, int(running)), f"attempts: {task}"
        if task.cached_of is not None and task.outcome == "completed":
            assert now.tasks[task.cached_of].outcome == "completed", f"a voided result: {task}"
        assert done or now.study.phase != "concluded", f"never ends: {task}"
    search = Counter(t.outcome or t.status for t in now.tasks.values() if t.kind == "search")
    held = sum(search[word] for word in (*COUNTED, "running", "waiting"))
    assert (now.study.held, now.study.failed) == (held, search["failed"]), "places held"
    assert now.study.voided == search["voided"]
    assert held <= now.study.trials, "more places than the budget"
    assert now.study.phase == "searching" or held == now.study.trials, "places left over"


def check_counts(
    connection: Connection, now: Snapshot, kinds: Iterable[str] = tuple(TaskKind)
) -> None:
    """Check that the counts that `status` shows are those of the tables.

    Args:
        connection: Reads them.
        now: The tables.
        kinds: The kinds of task whose counts are read.

    Raises:
        AssertionError: They are not.
    """
    for kind in kinds:
        shown = queries._counts(connection, now.study.study_id, kind)
        rows = [task for task in now.tasks.values() if task.kind == kind]
        words = Counter(task.outcome or task.status for task in rows)
        retried = sum(max(task.attempts - 1, 0) for task in rows)
        assert shown == {**dict.fromkeys(OUTCOMES, 0), **words, "retried": retried}, shown


# Read after every operation, and so not built anew.
_present = select(workers.c.worker_id).where(workers.c.study_id == studies.c.study_id)
_STUDY = select(
    *(studies.c[field.name] for field in fields(Study)), func.array(_present.scalar_subquery())
).where(studies.c.study_id == bindparam("study_id"))
_TASKS = (
    select(
        *(tasks.c[field.name] for field in fields(Task) if field.name not in ("begun", "open")),
        func.count(attempts.c.attempt_id),
        func.count(attempts.c.attempt_id).filter(attempts.c.ended_at.is_(None)),
    )
    .join_from(tasks, attempts, attempts.c.task_id == tasks.c.task_id, isouter=True)
    .where(tasks.c.study_id == bindparam("study_id"))
    .group_by(tasks.c.task_id)
    .order_by(tasks.c.task_id)
)
