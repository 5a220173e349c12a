"""How long the latest runs of a study took, and the study itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from trainstack.search.database.schema import tasks, workers
from trainstack.search.records import Status

# Number of latest runs from which the duration of the next ones is estimated.
RECENT = 20
# A worker without a heartbeat for this long is shown as lost.
SILENT_SECONDS = 60.0


def recent_seconds(connection: Connection, study_id: int, kind: str) -> float | None:
    """Return a worker's mean time for one of the latest runs; None before the first has ended.

    Runs that a worker trained at the same time share it.

    Args:
        connection: The database.
        study_id: Key of the study.
        kind: Kind of the runs.
    """
    lately = connection.execute(
        select(tasks.c.worker_id, tasks.c.claimed_at, tasks.c.finished_at)
        .where(tasks.c.study_id == study_id, tasks.c.kind == kind, tasks.c.status == Status.DONE)
        .where(tasks.c.claimed_at.is_not(None), tasks.c.finished_at.is_not(None))
        .order_by(tasks.c.finished_at.desc())
        .limit(RECENT)
    ).all()
    if not lately:
        return None
    spans = [
        [(row.claimed_at, row.finished_at) for row in lately if row.worker_id == worker]
        for worker in {row.worker_id for row in lately}
    ]
    return sum(map(busy_seconds, spans)) / len(lately)


def worked_seconds(connection: Connection, study_id: int, now: datetime, until: datetime) -> float:
    """Return the time in which at least one worker was at a study.

    Neither an interruption nor the time from its conclusion until it is reopened counts.

    Args:
        connection: The database.
        study_id: Key of the study.
        now: The database's time.
        until: End of the time that counts.
    """
    columns = (workers.c.state, workers.c.joined_at, workers.c.seen_at, workers.c.left_at)
    rows = connection.execute(select(*columns).where(workers.c.study_id == study_id)).all()
    silent = now - timedelta(seconds=SILENT_SECONDS)
    ends = [
        row.left_at if row.state == "left" else row.seen_at if row.seen_at < silent else now
        for row in rows
    ]
    return busy_seconds(
        [(row.joined_at, min(end, until)) for row, end in zip(rows, ends, strict=True)]
    )


def busy_seconds(spans: Sequence[tuple[datetime, datetime]]) -> float:
    """Return the time covered by spans from a start to an end, which may overlap.

    >>> at = lambda second: datetime(2026, 1, 1, 12, 0, second)
    >>> busy_seconds([(at(0), at(10)), (at(1), at(12)), (at(20), at(25))])
    17.0
    """
    total, last = 0.0, None
    for start, end in sorted(spans):
        begin = start if last is None else max(start, last)
        total += max(0.0, (end - begin).total_seconds())
        last = max(begin, end)
    return total
