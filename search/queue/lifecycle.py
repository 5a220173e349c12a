"""The life cycle of a study: from searching to confirming to concluded.

`advance` may be called at any time and concurrently: each step is one transaction under the study's
lock that reads the tables again, and does nothing if the step was done already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_not

from trainstack.search.conditions import Condition
from trainstack.search.database.schema import durable, studies, tasks
from trainstack.search.payloads import ConfirmationPayload
from trainstack.search.queue.eligibility import open_to_search
from trainstack.search.queue.further_models import measurement_of, tasks_of
from trainstack.search.queue.queries import rows_of, run_of
from trainstack.search.queue.rows import StudyRow, TaskRow, study_of, task_of
from trainstack.search.queue.study_store import (
    CONCLUDED,
    CONFIRMING,
    GO,
    SEARCHING,
    STOP,
    UNPLANNED,
    change,
    drop_waiting,
    locked,
    record_event,
    state_of,
)
from trainstack.search.records import (
    CONFIRMATION,
    MEASUREMENT,
    REFIT,
    SEARCH,
    Outcome,
    Run,
    Status,
)
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack


class Planned(Protocol):
    """A confirmation run that the evidence requires."""

    @property
    def stack(self) -> Stack: ...
    @property
    def seed_index(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def label(self) -> str | None: ...
    @property
    def stack_id(self) -> str: ...
    @property
    def condition(self) -> Condition: ...


class Choice(Protocol):
    """The stack to recommend, and the baseline to compare it with."""

    @property
    def stack(self) -> Stack: ...
    @property
    def baseline(self) -> Stack: ...
    def seeds(self, replicates: int) -> range:
        """Return the seed indices of the runs to measure."""
        ...


class Judge(Protocol):
    """Decides what to confirm and what to recommend: pure functions of finished runs."""

    def next_runs(self, spec: StudySpec, runs: Sequence[Run]) -> Sequence[Planned]:
        """Return the confirmation runs still required; empty when the confirmation is done."""
        ...

    def choice(self, spec: StudySpec, runs: Sequence[Run]) -> Choice | None:
        """Return the choice; None if no run finished."""
        ...


def evidence(spec: StudySpec) -> Judge:
    """Return the default judge: that of a search, or of an experiment for claims."""
    from trainstack.search.claims import experiment
    from trainstack.search.evidence import race

    return experiment if spec.experiment else race


def advance(engine: Engine, study_id: int, judge: Judge | None = None) -> str:
    """Advance the study as far as its finished tasks allow.

    Args:
        engine: The database.
        study_id: Id of the study.
        judge: Decides about the confirmation; by default `evidence` of the spec.

    Returns:
        The study's state as `status` shows it.
    """
    # One step may make the next one possible.
    while _end_search(engine, study_id) or _confirm(engine, study_id, judge):
        pass
    with engine.connect() as connection:
        row = _row(connection, study_id)
    return state_of(row.phase, row.requested_state)


def _count(connection: Connection, study_id: int, kind: str) -> dict[str, int]:
    """Return the numbers of waiting and of running tasks of a kind."""
    counts = connection.execute(
        select(tasks.c.status, func.count())
        .where(tasks.c.study_id == study_id, tasks.c.kind == kind)
        # Uses the index, unlike `<> 'done'`.
        .where(tasks.c.status.in_([Status.WAITING, Status.RUNNING]))
        .group_by(tasks.c.status)
    )
    return {Status.WAITING: 0, Status.RUNNING: 0, **{row[0]: row[1] for row in counts}}


def _end_search(engine: Engine, study_id: int) -> bool:
    """Start the confirmation if the budget is used up or no more trials may start."""
    with engine.connect() as connection:
        # Idle workers poll this: take the lock only if the search has ended.
        if not _search_over(connection, _row(connection, study_id)):
            return False
    with engine.begin() as connection:
        durable(connection)
        study = locked(connection, study_id)
        if not _search_over(connection, study):
            return False
        drop_waiting(connection, study_id, SEARCH)
        # If the search ended early, reduce the budget to the trials held, so that counts agree.
        spent = {"trials": studies.c.held, "phase": CONFIRMING}
        change(connection, study_id, **spent, requested_state=GO, paused_at=None)
        record_event(connection, study, CONFIRMING)
        return True


def _row(connection: Connection, study_id: int) -> StudyRow:
    query = select(studies).where(studies.c.study_id == study_id)
    return study_of(connection.execute(query).one())


def _search_over(connection: Connection, study: StudyRow) -> bool:
    """Return whether no search trial is running and none can start."""
    if study.phase != SEARCHING or study.requested_state not in (GO, STOP):
        return False
    now = _count(connection, study.study_id, SEARCH)
    if now[Status.RUNNING]:
        return False
    full = study.held >= study.trials or bool(study.spec["stacks"])
    return (full and not now[Status.WAITING]) or not open_to_search(connection, study)


def _confirm(engine: Engine, study_id: int, judge: Judge | None) -> bool:
    """Insert the confirmation runs required next, or conclude; return whether to call again."""
    with engine.connect() as connection:
        study = _row(connection, study_id)
        if study.phase != CONFIRMING or study.requested_state not in (GO, STOP):
            return False
        seen = _finished(connection, study_id)
        if seen == study.planned:
            return False
        measured = _measurement(connection, study_id)
        rows = rows_of(connection, study_id) if measured is None else []
    spec = StudySpec.from_json(study.spec)
    runs = [run_of(row) for row in rows if row.status == Status.DONE]
    planned: Sequence[Planned] = []
    if measured is None and study.requested_state == GO:
        planned = (judge or evidence(spec)).next_runs(spec, runs)
    with engine.begin() as connection:
        durable(connection)
        study = locked(connection, study_id)
        if study.phase != CONFIRMING or study.requested_state not in (GO, STOP):
            return False
        if _finished(connection, study_id) != seen:
            return True  # the evidence has changed meanwhile
        if measured is not None:
            if measured.status == Status.DONE:
                drop_waiting(connection, study_id, REFIT)
                if not _count(connection, study_id, REFIT)[Status.RUNNING]:
                    _conclude(connection, study)
            return False
        reopened = _plan(connection, study_id, planned)
        change(connection, study_id, planned=UNPLANNED if reopened else seen)
        now = _count(connection, study_id, CONFIRMATION)
        if not now[Status.WAITING] + now[Status.RUNNING]:
            chosen = (judge or evidence(spec)).choice(spec, runs)
            _measure(connection, study, chosen, rows)
        return False


def _finished(connection: Connection, study_id: int) -> int:
    """Return a count that grows with every change of evidence: ended tasks, voided ones twice.

    It falls when an ended task waits again, and can then come back to the same number with other
    results: who lets one wait again must set `planned` to UNPLANNED.
    """
    done = (tasks.c.study_id == study_id) & (tasks.c.status == Status.DONE)
    voided = func.count().filter(tasks.c.outcome == Outcome.VOIDED)
    return connection.execute(select(func.count() + voided).where(done)).scalar_one()


def _measurement(connection: Connection, study_id: int) -> TaskRow | None:
    query = select(tasks).where(tasks.c.study_id == study_id, tasks.c.kind == MEASUREMENT)
    row = connection.execute(query).first()
    return None if row is None else task_of(row)


def _plan(connection: Connection, study_id: int, planned: Sequence[Planned]) -> bool:
    """Insert the planned runs, each once, and drop waiting runs that are no longer planned.

    Returns:
        Whether a run that had ended waits again.
    """
    confirmations = (tasks.c.study_id == study_id) & (tasks.c.kind == CONFIRMATION)
    rows = [task_of(row) for row in connection.execute(select(tasks).where(confirmations))]
    there = {(row.stack_id, row.seed_index): row.task_id for row in rows}
    spoilt = [row.task_id for row in rows if row.outcome == Outcome.VOIDED]
    wanted = {(p.stack_id, p.seed_index): p for p in planned}
    drop_waiting(connection, study_id, CONFIRMATION, [i for k, i in there.items() if k in wanted])
    number = connection.execute(
        select(func.coalesce(func.max(tasks.c.number) + 1, 0)).where(confirmations)
    ).scalar_one()
    # Voided and required again: train them anew in the same rows.
    again = [there[key] for key in wanted if there.get(key) in spoilt]
    for task_id in again:
        _reopen(connection, task_id)
    for key, plan in wanted.items():
        if key in there:
            continue
        row = {
            "study_id": study_id,
            "kind": CONFIRMATION,
            "number": number,
            "stack": plan.stack.to_json(),
            "stack_id": plan.stack_id,
            "label": plan.label,
            "seed": plan.seed,
            "seed_index": plan.seed_index,
            "payload": ConfirmationPayload(plan.condition).to_json(),
        }
        connection.execute(insert_or_not(tasks).on_conflict_do_nothing().values(row))
        number += 1
    return bool(again)


def _reopen(connection: Connection, task_id: int) -> None:
    """Reset an ended task to waiting and clear its result."""
    nothing = {"outcome": None, "cause": None, "value": None, "best_epoch": 0, "token": None}
    empty = {"curve": [], "train_curve": [], "metrics": {}, "seconds": {}, "artifacts": {}}
    values = {**nothing, **empty, "found": {}, "strikes": 0, "finished_at": None}
    again = update(tasks).where(tasks.c.task_id == task_id)
    connection.execute(again.values(status=Status.WAITING, **values))


def _conclude(connection: Connection, study: StudyRow, why: str = "") -> None:
    values = {"phase": CONCLUDED, "requested_state": GO, "concluded_at": func.now()}
    change(connection, study.study_id, **values)
    record_event(connection, study, CONCLUDED, why)


def _measure(
    connection: Connection, study: StudyRow, chosen: Choice | None, rows: Sequence[TaskRow]
) -> None:
    """Insert the measurement on the test set, or conclude if there is nothing to measure.

    The networks of the models to export are tasks of their own, for the other workers. The
    measurement trains those that it does not find.
    """
    if chosen is None:
        over = any(row.outcome == Outcome.COMPLETED for row in rows)
        _conclude(connection, study, "" if over else "no trial finished")
        return
    seeds = chosen.seeds(study.spec["replicates"])  # without the runs that tuned a learning rate
    asked = measurement_of(study.spec, chosen.stack, chosen.baseline, seeds, rows)
    wanted = [{"study_id": study.study_id, **row} for row in tasks_of(study.spec, asked)]
    connection.execute(insert_or_not(tasks).on_conflict_do_nothing().values(wanted))
