"""Registration of a study's workers: joining and leaving."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, func, insert, select, update

from trainstack.search.database.schema import workers
from trainstack.search.queue.rows import WorkerRow
from trainstack.search.queue.study_store import record_event
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError
from trainstack.spaces.space import Space


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
        The worker's id, and the number of workers that joined the study before it.
    """
    with engine.begin() as connection:
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
