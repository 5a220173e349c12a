"""Progress of a study in the terminal, with or without local workers."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trainstack.search.cli.common import AsJson, Storage, Study, err, print_json
from trainstack.search.cli.common import storage as reach
from trainstack.search.cli.interruptions import Interruption, viewing
from trainstack.search.cli.live_view import line_of
from trainstack.search.cli.local_workers import FAREWELL, LocalWorkers, Workers
from trainstack.search.cli.polling import Polling, over
from trainstack.search.processes import exit_signals
from trainstack.spaces.errors import StorageAwayError, of_exit_code

if TYPE_CHECKING:
    import typer
    from sqlalchemy import URL

    from trainstack.search.queue.progress import Snapshot
    from trainstack.search.queue.status import StudyStatus

# Seconds between two plain lines if no count changes.
PLAIN_SECONDS = 30.0
AWAY_SECONDS = 120.0


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(watch)


def work(
    url: URL, study: str, count: int, start: Callable[..., Workers] = LocalWorkers.start
) -> None:
    """Start workers and show progress until the study is over.

    Args:
        url: The database.
        study: Name of the study.
        count: Number of workers.
        start: Starts workers, given the database, the study's name and the count.

    Raises:
        KeyboardInterrupt: Raised after the workers have returned their trials.
        TrainstackError: The workers cannot serve the study.
    """
    from trainstack.search.dashboard.notes import Notes
    from trainstack.search.database.connection import connected, exported, guarded
    from trainstack.search.database.retry import hangups
    from trainstack.search.queue import queries
    from trainstack.search.queue.budget import WorkersWanted
    from trainstack.search.queue.maintenance import Maintenance
    from trainstack.search.sampling.optuna_export import Exporting
    from trainstack.search.studies.opening import open_study

    with connected(url) as here:
        if queries.status(here, study).concluded:
            with Exporting(here, study):  # after a rush, or a crash, trials may be left
                return
        wanted = WorkersWanted(here, study)
        maintenance = Maintenance(here, open_study(here, study).row.study_id)

    def check(status: StudyStatus) -> None:
        # Maintenance also runs without local workers: it requeues expired leases.
        with contextlib.suppress(StorageAwayError):
            maintenance.run_if_due()
            with guarded(url):
                scale(local, wanted.news())
        _check(local, status)

    # A closed terminal and SIGTERM act as Ctrl-C does, also in a job started with `&`, whose
    # workers receive SIGINT. `nohup` is respected.
    with (
        Exporting(here, study),
        Interruption(
            *(signal.SIGINT, signal.SIGTERM, *hangups()),
            waking=exit_signals(),  # a worker that exits has seen the end of the study
        ) as interruption,
    ):
        local = start(exported(url), study, count)
        notes = Notes(url, study).start()
        try:
            follow(url, study, interruption.pause, check)
            notes.stop(last=True)  # workers are leaving meanwhile
            local.finish(10.0)
        except KeyboardInterrupt:
            local.interrupt()
            err().print(f"trainstack: {FAREWELL}", markup=False)
            raise
        finally:
            local.close()
            notes.stop(last=False)


def scale(local: Workers, count: int | None) -> None:
    """Scale to the requested number of workers; None: no change."""
    if count is not None and count != local.wanted:
        local.keep(count)


def _check(local: Workers, status: StudyStatus) -> None:
    """Raise the cause if no local worker is left and no other worker serves the study."""
    if local.wanted == 0 or local.alive():
        return
    others = [w for w in status.workers if w.last_seen_seconds < 60]
    failure = local.failure()
    if failure is None or others:
        return
    raise of_exit_code(*failure)


def follow(
    url: URL,
    study: str,
    pause: Callable[[float], None],
    check: Callable[[StudyStatus], None] = lambda status: None,
) -> StudyStatus | None:
    """Show progress until the study is over; wait while it is paused.

    Args:
        url: The database.
        study: Name of the study.
        pause: Waits for a number of seconds between two queries.
        check: Called with each status.

    Returns:
        The last status; None if none was read.

    Raises:
        StorageAwayError: The database has been away for too long.
    """
    from trainstack.search.database.connection import guarded, shared_engine
    from trainstack.search.queue.progress import read_snapshot

    here, status = shared_engine(url), None
    show = _live(lambda: read_snapshot(here, study)) if sys.stderr.isatty() else _plain()
    try:
        for status in Polling(pause, away_seconds=AWAY_SECONDS).statuses(here, study):
            # If the database goes away here, the next read tells.
            with contextlib.suppress(StorageAwayError), guarded(url):
                show(status)
            if not over(status):
                check(status)
        return status
    finally:
        show(None)


def watch(study: Study, as_json: AsJson = False, storage: Storage = None) -> None:
    """Show a live view of a study until it is over.

    Ctrl-C ends only the view.

    With --json, print the last status when the study is over.

    Example: trainstack watch digits
    """
    from trainstack.search.queue import queries

    with reach(storage) as (url, engine):
        queries.spec_of(engine, study)
        with viewing() as interruption:
            status = follow(url, study, interruption.pause)
    if as_json:
        print_json(status)


def _plain() -> Callable[[StudyStatus | None], None]:
    """Return a display for pipes and logs: a line when counts change, else every 30 seconds."""
    last: list[Any] = [None, -PLAIN_SECONDS]

    def show(status: StudyStatus | None) -> None:
        if status is None:
            return
        key = (
            status.state,
            *(status.counts[k] // 5 for k in ("completed", "pruned")),
            status.confirmation["completed"] // 5,
        )
        now = time.monotonic()
        if key != last[0] or now - last[1] >= PLAIN_SECONDS:
            last[:] = [key, now]
            err().print(line_of(status), markup=False)

    return show


def _live(
    look: Callable[[], Snapshot],
) -> Callable[[StudyStatus | None], None]:
    """Return a display for terminals that is redrawn in place.

    Args:
        look: Reads the snapshot shown with the status.
    """
    from rich.live import Live

    from trainstack.search.cli.live_view import view

    live = Live("starting workers", console=err(), auto_refresh=False, vertical_overflow="ellipsis")
    live.start()

    width = [live.console.width]

    def show(status: StudyStatus | None) -> None:
        if status is None:
            live.stop()
            return
        if (now := live.console.width) != width[0]:
            # Wrapped lines change the height of the view, so it cannot be redrawn in place.
            width[0] = now
            live.console.clear()
        live.update(view(status, look(), now), refresh=True)

    return show
