"""Read access for the command line: status, runs, trials and measurement; without Optuna."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Float, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on

from trainstack.search.conditions import PLAIN
from trainstack.search.database.schema import exist, studies, tasks, workers
from trainstack.search.payloads import ConfirmationPayload
from trainstack.search.queue.pace import SILENT_SECONDS, recent_seconds, worked_seconds
from trainstack.search.queue.rows import StudyRow, TaskRow, study_of, task_of
from trainstack.search.queue.status import Best, Budget, StudyStatus, WorkerStatus
from trainstack.search.queue.study_store import CONCLUDED, GO, SEARCHING, find, state_of
from trainstack.search.queue.trial_record import TrialRecord, trial_of
from trainstack.search.records import (
    CONFIRMATION,
    MEASUREMENT,
    OUTCOMES,
    SEARCH,
    Outcome,
    Run,
    Status,
    TaskKind,
)
from trainstack.spaces.errors import StudyError

if TYPE_CHECKING:
    from trainstack.search.spec import StudySpec


def spec_of(engine: Engine, name: str) -> StudySpec:
    """Return the spec of a study.

    Raises:
        StudyError: There is no such study.
    """
    from trainstack.search.spec import StudySpec

    with reading(engine, name) as (_, study):
        return StudySpec.from_json(study.spec)


def statuses(engine: Engine) -> list[StudyStatus]:
    """Return the status of every study, oldest first."""
    if not exist(engine):
        return []
    with _snapshot(engine) as connection:
        rows = connection.execute(select(studies).order_by(studies.c.study_id)).all()
        return [_status(connection, study_of(row)) for row in rows]


def status(engine: Engine, name: str) -> StudyStatus:
    """Return the status of a study.

    Raises:
        StudyError: There is no such study; near names are offered.
    """
    with reading(engine, name) as (connection, study):
        return _status(connection, study)


def _snapshot(engine: Engine) -> Connection:
    """Return a connection whose reads see one snapshot, so that budget and counts agree."""
    return engine.connect().execution_options(isolation_level="REPEATABLE READ")


@contextlib.contextmanager
def reading(engine: Engine, name: str) -> Iterator[tuple[Connection, StudyRow]]:
    """Yield a connection whose reads see one snapshot, and a study's row.

    Raises:
        StudyError: There is no such study; near names are offered.
    """
    if not exist(engine):
        raise StudyError(f"no study '{name}' in this storage", hint="it holds no study yet")
    with _snapshot(engine) as connection:
        yield connection, find(connection, name)


def _status(connection: Connection, study: StudyRow) -> StudyStatus:
    from trainstack.search.evidence.deciding import Deciding
    from trainstack.search.spec import StudySpec

    now = connection.execute(select(func.clock_timestamp())).scalar_one()
    left = None
    if study.deadline_at is not None and study.phase == SEARCHING:
        # While a study is paused, its remaining time does not decrease.
        at = study.paused_at if study.paused_at and study.requested_state != GO else now
        left = max(0.0, (study.deadline_at - at).total_seconds())
    best = connection.execute(
        select(tasks.c.number, tasks.c.value)
        .where(tasks.c.study_id == study.study_id, tasks.c.kind == SEARCH)
        .where(tasks.c.outcome == Outcome.COMPLETED, tasks.c.value < literal(math.inf, Float))
        .order_by(tasks.c.value, tasks.c.number)
        .limit(1)
    ).first()
    spec = StudySpec.from_json(study.spec)
    deciding = Deciding.of(spec)
    kind = SEARCH if study.phase == SEARCHING else CONFIRMATION
    return StudyStatus(
        study=study.name,
        state=state_of(study.phase, study.requested_state),
        phase=study.phase,
        budget=Budget(study.trials, study.spec["trials"]),
        epochs=study.spec["epochs"],
        folds=spec.folds,
        repeats=spec.repeats,
        metric=deciding.metric,
        objective=deciding.objective,
        counts=_counts(connection, study.study_id, SEARCH),
        confirmation=_counts(connection, study.study_id, CONFIRMATION),
        measurement=_counts(connection, study.study_id, MEASUREMENT),
        best=Best(best.number, best.value) if best else None,
        workers=_workers(connection, study.study_id, now),
        timeout_seconds=study.spec["timeout_seconds"],
        remaining_seconds=left,
        created=study.created_at.isoformat(),
        elapsed_seconds=worked_seconds(connection, study.study_id, now, study.concluded_at or now),
        concluded=study.phase == CONCLUDED,
        confirmation_at_most=_most_runs(spec),
        run_seconds=recent_seconds(connection, study.study_id, kind),
        network=spec.network_name,
    )


def _most_runs(spec: StudySpec) -> int:
    from trainstack.search.claims.experiment import run_counts
    from trainstack.search.evidence.run_bounds import most_runs

    if spec.experiment:
        return run_counts(spec.experiment, spec.replicates)[1]
    return most_runs(spec)


def _counts(connection: Connection, study_id: int, kind: str) -> dict[str, int]:
    word = func.coalesce(tasks.c.outcome, tasks.c.status)
    again = func.sum(func.greatest(tasks.c.attempts - 1, 0))
    rows = connection.execute(
        select(word, func.count(), again)
        .where(tasks.c.study_id == study_id, tasks.c.kind == kind)
        .group_by(word)
    ).all()
    counts: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
    counts.update({row[0]: row[1] for row in rows})
    return {**counts, "retried": sum(int(row[2]) for row in rows)}


def _workers(connection: Connection, study_id: int, now: datetime) -> tuple[WorkerStatus, ...]:
    """Return the workers that have not left, each with the first trial that it holds."""
    holds = (tasks.c.worker_id == workers.c.worker_id) & (tasks.c.status == Status.RUNNING)
    rows = connection.execute(
        select(workers, tasks.c.number, tasks.c.kind)
        .ext(distinct_on(workers.c.worker_id))
        .join_from(workers, tasks, holds, isouter=True)
        .where(workers.c.study_id == study_id, workers.c.left_at.is_(None))
        .order_by(workers.c.worker_id, tasks.c.task_id)
    )
    return tuple(_worker(row, now) for row in rows)


def _worker(row: Any, now: datetime) -> WorkerStatus:
    silent = max(0.0, (now - row.seen_at).total_seconds())
    return WorkerStatus(
        id=worker_name(row.host, row.pid, row.worker_id),
        host=row.host,
        device=row.device,
        threads=row.threads,
        version=row.version,
        state=row.state if silent < SILENT_SECONDS else "lost",
        trial=row.number,
        kind=None if row.kind is None else TaskKind(row.kind),
        last_seen_seconds=round(silent, 3),
    )


def worker_name(host: str, pid: int, worker_id: int) -> str:
    """Return a worker's name as it is shown to users."""
    return f"{host}-{pid}-{worker_id}"


def rows_of(
    connection: Connection, study_id: int, phases: Sequence[str] = (SEARCH, CONFIRMATION)
) -> list[TaskRow]:
    """Return task rows with the names of their workers, in order of creation."""
    name = workers.c.host + "-" + func.concat(workers.c.pid) + "-" + func.concat(tasks.c.worker_id)
    rows = connection.execute(
        select(tasks, name.label("worker"))
        .join_from(tasks, workers, tasks.c.worker_id == workers.c.worker_id, isouter=True)
        .where(tasks.c.study_id == study_id, tasks.c.kind.in_(phases))
        .order_by(tasks.c.kind.desc(), tasks.c.number.nulls_last(), tasks.c.task_id)
    )
    return [task_of(row) for row in rows]


def runs(engine: Engine, name: str, phase: str | None = None) -> list[Run]:
    """Return a study's trials as runs.

    Args:
        engine: The database.
        name: Name of the study.
        phase: SEARCH or CONFIRMATION; None: both.

    Raises:
        StudyError: There is no such study.
    """
    phases = (SEARCH, CONFIRMATION) if phase is None else (phase,)
    with reading(engine, name) as (connection, study):
        return [run_of(row) for row in rows_of(connection, study.study_id, phases)]


def run_of(row: TaskRow) -> Run:
    """Return the run for a task's row."""
    payload = row.payload
    return Run(
        phase=row.kind,
        number=-1 if row.number is None else row.number,
        stack=row.stack,
        stack_id=row.stack_id,
        seed=row.seed,
        seed_index=row.seed_index,
        label=row.label,
        outcome=row.outcome or row.status,
        value=row.value,
        epochs=len(row.curve),
        best_epoch=row.best_epoch,
        curve=row.curve,
        train_curve=row.train_curve,
        metrics=_numbers(row.metrics),
        seconds=_numbers(row.seconds),
        worker=row.worker,
        attempt=max(row.attempts, 1),
        cause=row.cause,
        artifacts=row.artifacts,
        layers=row.found.get("layers") or {},
        folds=tuple(row.found.get("folds") or ()),
        condition=payload.condition if isinstance(payload, ConfirmationPayload) else PLAIN,
    )


def _numbers(document: Mapping[str, Any]) -> dict[str, float]:
    return {k: math.nan if v is None else v for k, v in document.items()}


def trials(engine: Engine, name: str, phase: str = SEARCH) -> list[TrialRecord]:
    """Return the records of a study's trials, or of its confirmation's runs.

    Raises:
        StudyError: There is no such study.
    """
    voids = spec_of(engine, name).voids
    return [trial_of(run, voids) for run in runs(engine, name, phase)]


def measurement(engine: Engine, name: str) -> dict[str, Any] | None:
    """Return the result of the measurement on the test set; None if there is none (yet).

    Raises:
        StudyError: There is no such study.
    """
    with reading(engine, name) as (connection, study):
        return _measurement(connection, study.study_id)


def _measurement(connection: Connection, study_id: int) -> dict[str, Any] | None:
    return connection.execute(
        select(tasks.c.found)
        .where(tasks.c.study_id == study_id, tasks.c.kind == MEASUREMENT)
        .where(tasks.c.outcome == Outcome.COMPLETED)
    ).scalar()


def evidence(engine: Engine, name: str) -> tuple[StudySpec, list[Run], dict[str, Any]]:
    """Return a study's spec, all its runs and its measurement (empty: none), as of one moment.

    Raises:
        StudyError: There is no such study.
    """
    from trainstack.search.spec import StudySpec

    with reading(engine, name) as (connection, study):
        return (
            StudySpec.from_json(study.spec),
            [run_of(row) for row in rows_of(connection, study.study_id)],
            _measurement(connection, study.study_id) or {},
        )
