"""Registration of a study's workers: joining and leaving."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, func, insert, select, text, update

from trainstack.search.database.schema import studies, workers
from trainstack.search.queue.rows import WorkerRow
from trainstack.search.queue.study_store import record_event
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError, StudyError
from trainstack.spaces.space import Space

# The id of a removed worker is not given out again, so its worker can have it back.
_AGAIN = text(
    "INSERT INTO trainstack_workers (worker_id, study_id, host, pid, device, threads, version)"
    " OVERRIDING SYSTEM VALUE"
    " VALUES (:worker_id, :study_id, :host, :pid, :device, :threads, :version)"
    " ON CONFLICT (worker_id) DO NOTHING"
)


class WorkerRemoved(Exception):  # noqa: N818 - not a fault: it registers again
    """The worker's row was removed, as an administrator may: nothing was written."""


@dataclass(frozen=True)
class WorkerCard:
    """Description of a worker, as `status` shows it.

    Attributes:
        host: Name of the machine.
        pid: Process id.
        device: Such as `cpu` or `gpu:0`.
        threads: Number of threads for training.
        version: Version of this package.
    """

    host: str
    pid: int
    device: str = "cpu"
    threads: int = 1
    version: str = ""


def check(spec: StudySpec, card: WorkerCard) -> None:
    """Check that a worker's package is the one that the study was created with.

    Raises:
        RequestError: The version differs, or the package cannot read the study's space.
    """
    if spec.version and card.version != spec.version:
        raise RequestError(
            f"trainstack {card.version or 'of unknown version'} on this machine",
            f"{spec.version}, the version that created study '{spec.study}'",
            f"install that version, or start a new study with {card.version}",
        )
    try:
        Space.from_json(dict(spec.space))
    except RequestError as error:
        raise RequestError(
            f"the space of study '{spec.study}' cannot be read by this version ({error})",
            f"trainstack {spec.version or 'in the version that created it'}",
            "install the same version on every machine",
        ) from None


def join(engine: Engine, study_id: int, card: WorkerCard) -> tuple[int, int]:
    """Register a new worker.

    Returns:
        The worker's id, and the number of workers that joined the study before it, which differs
        between workers.

    Raises:
        StudyError: The study was deleted.
    """
    with engine.begin() as connection:
        # One at a time: those that join at once would not see each other.
        _hold(connection, study_id, shared=False)
        row = connection.execute(
            insert(workers)
            .values(
                study_id=study_id,
                host=card.host,
                pid=card.pid,
                device=card.device,
                threads=card.threads,
                version=card.version,
            )
            .returning(workers.c.worker_id, workers.c.study_id)
        ).one()
        before = connection.execute(
            select(func.count())
            .select_from(workers)
            .where(workers.c.study_id == study_id, workers.c.worker_id < row.worker_id)
        ).scalar_one()
        record_event(connection, WorkerRow(study_id, row.worker_id), "joined")
        return row.worker_id, before


def present(connection: Connection, worker_id: int) -> None:
    """Keep a worker's row from being removed until the transaction ends.

    Raises:
        WorkerRemoved: It has been removed.
    """
    row = select(workers.c.worker_id).where(workers.c.worker_id == worker_id)
    if connection.execute(row.with_for_update(read=True, key_share=True)).first() is None:
        raise WorkerRemoved(f"worker {worker_id}")


def rejoin(engine: Engine, study_id: int, worker_id: int, card: WorkerCard) -> None:
    """Register a worker whose row was removed, under its old id; repeating it is harmless.

    Raises:
        StudyError: The study was deleted.
    """
    again = {"worker_id": worker_id, "study_id": study_id, **asdict(card)}
    with engine.begin() as connection:
        _hold(connection, study_id, shared=True)
        if connection.execute(_AGAIN, again).rowcount:
            record_event(
                connection, WorkerRow(study_id, worker_id), "joined", "its row was removed"
            )


def _hold(connection: Connection, study_id: int, shared: bool) -> None:
    """Keep a study from being deleted, and unless `shared` from being changed, until the end of
    the transaction."""
    study = select(studies.c.study_id).where(studies.c.study_id == study_id)
    if connection.execute(study.with_for_update(read=shared, key_share=True)).first() is None:
        raise StudyError("the study was deleted", hint="launch it again")


def leave(engine: Engine, worker_id: int) -> None:
    """Mark a worker as left; repeating it is harmless."""
    with engine.begin() as connection:
        row = connection.execute(
            update(workers)
            .where(workers.c.worker_id == worker_id, workers.c.left_at.is_(None))
            .values(state="left", left_at=func.now())
            .returning(workers.c.worker_id, workers.c.study_id)
        ).first()
        if row is not None:
            record_event(connection, WorkerRow(row.study_id, row.worker_id), "left")


def mark_lost(engine: Engine, study_id: int, silent_seconds: float) -> int:
    """Mark workers without a heartbeat for `silent_seconds` as lost; return their number."""
    silent = func.make_interval(0, 0, 0, 0, 0, 0, float(silent_seconds))
    with engine.begin() as connection:
        return connection.execute(
            update(workers)
            .where(workers.c.study_id == study_id, workers.c.left_at.is_(None))
            .where(workers.c.seen_at < func.now() - silent)
            .values(state="lost", left_at=func.now())
        ).rowcount
