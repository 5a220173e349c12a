"""Studies in the fleet's tables: create, find, pause, resume, stop, cancel, void.

Every function is one transaction over the fleet's tables, or part of the caller's; none imports
Optuna. The number of held places changes only under a lock on the study's row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_not

from trainstack.search.database.schema import durable, events, studies, tasks
from trainstack.search.payloads import SearchPayload
from trainstack.search.queue.rows import StudyRow, TaskRow, WorkerRow, study_of, task_of
from trainstack.search.records import COUNTED, SEARCH, Outcome, Phase, RequestedState, Status
from trainstack.spaces.errors import RequestError, StudyError, nearest

if TYPE_CHECKING:
    from trainstack.search.spec import StudySpec
    from trainstack.spaces.stack import Stack

SEARCHING, CONFIRMING, CONCLUDED = Phase
GO, PAUSE, STOP, CANCEL = RequestedState
# States of a study that `status` shows instead of its phase.
PAUSED, STOPPED = "paused", "stopped"
# A search opens no more places after this many failed trials, or as many as its budget if that is
# more.
MOST_FAILURES = 10
# Value of a study's `planned` with which its confirmation is planned anew.
UNPLANNED = -1


def state_of(phase: str, requested_state: str) -> str:
    """Return the state that `status` shows."""
    if phase == CONCLUDED or requested_state == GO:
        return phase
    return PAUSED if requested_state == PAUSE else STOPPED


def derived_seed(seed: int, *path: object) -> int:
    """Return a seed in [0, 2³¹) derived from the study's seed and a path that names its purpose."""
    text = ":".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def budget_of(spec: StudySpec) -> int:
    """Return the number of places in the budget: one per explicit stack, else the trials asked."""
    return len(spec.stacks) if spec.stacks else spec.trials


def create(engine: Engine, spec: StudySpec, first: Iterable[tuple[str | None, Stack]]) -> bool:
    """Create the study with its first stacks waiting, unless an equal one exists.

    Args:
        engine: The database.
        spec: The spec.
        first: Labelled stacks to train before sampling starts, at most one per place; ignored if
            the spec names its stacks.

    Returns:
        True if the study was created, False if it existed.

    Raises:
        StudyError: A study of that name has another spec.
    """
    waiting = [(None, stack) for stack in spec.stacks] or list(first)
    waiting = waiting[: budget_of(spec)]
    with engine.begin() as connection:
        durable(connection)
        new = insert_or_not(studies).on_conflict_do_nothing(index_elements=[studies.c.name])
        row = connection.execute(
            new.values(
                name=spec.study,
                spec=spec.to_json(),
                trials=budget_of(spec),
                held=len(waiting),
                opened=len(waiting),
            ).returning(studies)
        ).first()
        if row is None:
            _same(find(connection, spec.study), spec)
            return False
        study = study_of(row)
        for place, (label, stack) in enumerate(waiting):
            connection.execute(
                insert(tasks).values(search_task(study.study_id, spec.seed, place, stack, label))
            )
        record_event(connection, study, "created")
        return True


def search_task(
    study_id: int, study_seed: int, place: int, stack: Stack | None = None, label: str | None = None
) -> dict[str, Any]:
    """Return the columns of a new search trial.

    Args:
        study_id: Id of the study.
        study_seed: Seed of the study.
        place: Number of places opened before; the trial's seed derives from it.
        stack: The stack to train; None: to be sampled.
        label: Name of the reference stack, if it is one.
    """
    return {
        "study_id": study_id,
        "kind": SEARCH,
        "seed": derived_seed(study_seed, SEARCH, place),
        "stack": stack.to_json() if stack else None,
        "stack_id": stack.stack_id if stack else None,
        "label": label,
        "payload": SearchPayload(given=stack is not None).to_json(),
    }


def _same(row: StudyRow, spec: StudySpec) -> None:
    from trainstack.search.spec import StudySpec

    differences = StudySpec.from_json(row.spec).differences(spec)
    if differences:
        raise StudyError(
            f"study '{spec.study}' exists with another request ({'; '.join(differences[:5])})",
            hint="repeat the original request to resume it, or give another --study",
        )


def find(connection: Connection, name: str, lock: bool = False) -> StudyRow:
    """Return a study's row.

    Args:
        connection: The transaction.
        name: Name of the study.
        lock: Lock the row until the transaction ends.

    Raises:
        StudyError: There is no such study.
    """
    query = select(studies).where(studies.c.name == name)
    row = connection.execute(query.with_for_update(key_share=True) if lock else query).first()
    if row is None:
        names = connection.execute(select(studies.c.name).order_by(studies.c.name)).scalars().all()
        hint = nearest(name, list(names)) if names else "this storage holds no study yet"
        raise StudyError(f"no study '{name}' in this storage", hint=hint)
    return study_of(row)


def locked(connection: Connection, study_id: int) -> StudyRow:
    """Lock a study's row for this transaction and return it.

    Other transactions may still add rows that refer to the study, such as events.
    """
    query = select(studies).where(studies.c.study_id == study_id)
    return study_of(connection.execute(query.with_for_update(key_share=True)).one())


def change(connection: Connection, study_id: int, **values: Any) -> None:
    """Update columns of a study's row."""
    connection.execute(update(studies).where(studies.c.study_id == study_id).values(**values))


def record_event(
    connection: Connection,
    about: StudyRow | TaskRow | WorkerRow,
    kind: str,
    message: str | None = None,
) -> None:
    """Record an event of a study, a task or a worker."""
    named = {k: getattr(about, k) for k in ("task_id", "worker_id") if hasattr(about, k)}
    connection.execute(
        insert(events).values(study_id=about.study_id, kind=kind, message=message or "", **named)
    )


def request_state(engine: Engine, name: str, wanted: str) -> str:
    """Request that a study go on (GO), pause, stop or cancel; a concluded one stays concluded.

    Returns:
        The study's state as `status` shows it.

    Raises:
        StudyError: There is no such study.
    """
    with engine.begin() as connection:
        durable(connection)
        row = find(connection, name, lock=True)
        if row.phase == CONCLUDED:
            return CONCLUDED
        values: dict[str, Any] = {"requested_state": wanted, "planned": UNPLANNED}
        if wanted == GO and row.paused_at is not None:
            # Paused time does not count towards the timeout.
            values["deadline_at"] = studies.c.deadline_at + (func.now() - studies.c.paused_at)
            values["paused_at"] = None
        elif wanted != GO and row.paused_at is None:
            values["paused_at"] = func.now()
        change(connection, row.study_id, **values)
        record_event(connection, row, "resumed" if wanted == GO else wanted)
        return state_of(row.phase, wanted)


def void(engine: Engine, name: str, number: int, reason: str) -> tuple[str, ...]:
    """Remove an invalid search trial, and cached copies of its result, from the evidence.

    During the search its place becomes free again; afterwards the budget shrinks instead.

    Returns:
        Names in the artifact store of the trial's files.

    Raises:
        StudyError: There is no such study.
        RequestError: There is no such trial, or it has not ended.
    """
    with engine.begin() as connection:
        durable(connection)
        study = find(connection, name, lock=True)
        mine = (tasks.c.study_id == study.study_id) & (tasks.c.kind == SEARCH)
        # Wait for a worker that is copying its result; the update below then sees the copy.
        query = select(tasks).where(mine, tasks.c.number == number).with_for_update()
        found = connection.execute(query).first()
        if found is None:
            raise RequestError(f"no trial {number} in study '{name}'", hint="see its `trials`")
        row = task_of(found)
        if row.status != Status.DONE:
            raise RequestError(f"trial {number} is {row.status}", "a trial that has ended")
        gone = connection.execute(
            update(tasks)
            .where(mine, or_(tasks.c.task_id == row.task_id, tasks.c.cached_of == row.task_id))
            .where(tasks.c.status == Status.DONE, tasks.c.outcome.in_(COUNTED))
            .values(outcome=Outcome.VOIDED, cause=reason, exported=False)
        ).rowcount
        places = {"trials": studies.c.trials - gone} if study.phase != SEARCHING else {}
        places |= {"held": studies.c.held - gone, "voided": studies.c.voided + gone}
        change(connection, study.study_id, revision=studies.c.revision + 1, **places)
        record_event(connection, row, Outcome.VOIDED, f"trial {number}: {reason}")
        return tuple(row.artifacts.values())


def drop_waiting(connection: Connection, study_id: int, kind: str, keep: Iterable[int] = ()) -> int:
    """Drop waiting tasks: delete those never begun, end the others as failed.

    Args:
        connection: Transaction that holds the lock on the study's row.
        study_id: Id of the study.
        kind: Kind of the tasks.
        keep: Ids of tasks to keep.

    Returns:
        Number of tasks dropped.
    """
    waiting = (
        (tasks.c.study_id == study_id) & (tasks.c.kind == kind) & (tasks.c.status == Status.WAITING)
    ) & tasks.c.task_id.not_in(list(keep))
    begun = connection.execute(
        update(tasks)
        .where(waiting, tasks.c.attempts > 0)
        .values(status=Status.DONE, outcome=Outcome.FAILED, cause="withdrawn")
        .values(finished_at=func.now())
    ).rowcount
    fresh = connection.execute(delete(tasks).where(waiting, tasks.c.attempts == 0)).rowcount
    if kind == SEARCH:
        held, failed = studies.c.held - begun - fresh, studies.c.failed + begun
        change(connection, study_id, held=held, failed=failed)
    return begun + fresh
