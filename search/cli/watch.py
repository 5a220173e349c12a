"""Progress of a study in the terminal, while workers of this machine serve it."""

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
from trainstack.spaces.errors import StorageAwayError, of_exit_code

if TYPE_CHECKING:
    import typer
    from sqlalchemy import URL

    from trainstack.search.queue.progress import Glance
    from trainstack.search.spec import StudySpec

POLL_SECONDS = 0.5
# Between two plain lines when nothing was counted meanwhile.
PLAIN_SECONDS = 30.0
AWAY_SECONDS = 120.0


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(watch)


def work(
    url: URL, spec: StudySpec, count: int, start: Callable[..., Workers] = LocalWorkers.start
) -> None:
    """Start workers and show progress until the study is over.

    Args:
        url: The database.
        spec: What is asked.
        count: Workers.
        start: Starts them, given the database, the study's name and the count.

    Raises:
        KeyboardInterrupt: After the workers have given back what they held.
        TrainstackError: The workers cannot serve the study.
    """
    from trainstack.search.dashboard.notes import Notes
    from trainstack.search.database.connection import engine, exported, guarded
    from trainstack.search.database.retry import hangups
    from trainstack.search.queue.budget import WorkersWanted
    from trainstack.search.studies.maintenance import Maintenance

    if _concluded(url, spec.study):
        return
    maintenance, here = Maintenance.open(url, spec.study), engine(url)
    with guarded(url):
        wanted = WorkersWanted(here, spec.study)

    def check(status: dict[str, Any]) -> None:
        # Requeues expired leases even if this process has no workers.
        with contextlib.suppress(StorageAwayError):
            maintenance.run_if_due()
            with guarded(url):
                heed(local, wanted.news())
        _check(local, status)

    # Whoever ends us (a terminal that closes, `kill`) means what Ctrl-C means; so does Ctrl-C where
    # a shell started us with `&`, for the workers heed it there. `nohup` means what it says.
    with Interruption(signal.SIGINT, signal.SIGTERM, *hangups()) as interruption:
        local = start(exported(url), spec.study, count)
        notes, ended = Notes(url, spec.study).start(), False
        try:
            follow(url, spec.study, interruption.pause, check)
            local.finish(10.0)
            ended = True
        except KeyboardInterrupt:
            local.interrupt()
            err().print(f"trainstack: {FAREWELL}", markup=False)
            raise
        finally:
            local.close()
            notes.stop(last=ended)
            maintenance.close()
            here.dispose()


def heed(local: Workers, count: int | None) -> None:
    """Keep as many workers as somebody wants now; None: as before."""
    if count is not None and count != local.wanted:
        local.keep(count)


def _concluded(url: URL, study: str) -> bool:
    from trainstack.search.database.connection import engine, guarded
    from trainstack.search.queue import queries

    here = engine(url)
    with guarded(url):
        try:
            return queries.status(here, study)["concluded"]
        finally:
            here.dispose()


def _check(local: Workers, status: dict[str, Any]) -> None:
    """Say why when no worker of ours is left and none serves the study from elsewhere."""
    if local.wanted == 0 or local.alive():
        return
    others = [w for w in status["workers"] if w["last_seen_seconds"] < 60]
    failure = local.failure()
    if failure is None or others:
        return
    raise of_exit_code(*failure)


def over(status: dict[str, Any]) -> bool:
    """True when nothing more will happen: concluded, or stopped and every worker has left.

    After `stop` workers finish their trials and the study goes on to its confirmation; after
    `cancel` they leave.
    """
    if status["concluded"]:
        return True
    here = any(worker["state"] != "lost" for worker in status["workers"])
    return status["state"] == "stopped" and not here


def follow(
    url: URL,
    study: str,
    pause: Callable[[float], None],
    check: Callable[[dict[str, Any]], None] = lambda status: None,
) -> dict[str, Any]:
    """Show progress until the study is over; a paused one is waited for.

    Args:
        url: The database.
        study: Which study.
        pause: Waits for so many seconds, between two looks.
        check: Told each status.

    Returns:
        Its last status.

    Raises:
        StorageAwayError: The database has been away for too long.
    """
    from trainstack.search.database.connection import engine, guarded
    from trainstack.search.queue import queries
    from trainstack.search.queue.progress import glance

    here = engine(url)
    show = _live(lambda: glance(here, study)) if sys.stderr.isatty() else _plain()
    away_since = None
    try:
        while True:
            try:
                with guarded(url):
                    status = queries.status(here, study)
                    show(status)
                away_since = None
            except StorageAwayError:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > AWAY_SECONDS:
                    raise
                pause(POLL_SECONDS)
                continue
            if over(status):
                return status
            check(status)
            pause(POLL_SECONDS)
    finally:
        show(None)
        here.dispose()


def watch(study: Study, as_json: AsJson = False, storage: Storage = None) -> None:
    """Live view of a study until it is over; Ctrl-C ends the view and nothing else.

    With --json the last status, once the study is over.

    Example: trainstack watch digits
    """
    from trainstack.search.queue import queries

    with reach(storage) as (url, engine):
        queries.spec_of(engine, study)
        with viewing() as interruption:
            status = follow(url, study, interruption.pause)
    if as_json:
        print_json(status)


def _plain() -> Callable[[dict[str, Any] | None], None]:
    """Sober lines for a pipe or a log: one when something was counted, or now and then."""
    last: list[Any] = [None, -PLAIN_SECONDS]

    def show(status: dict[str, Any] | None) -> None:
        if status is None:
            return
        key = (
            status["state"],
            *(status["counts"][k] // 5 for k in ("completed", "pruned")),
            status["confirmation"]["completed"] // 5,
        )
        now = time.monotonic()
        if key != last[0] or now - last[1] >= PLAIN_SECONDS:
            last[:] = [key, now]
            err().print(line_of(status), markup=False)

    return show


def _live(
    look: Callable[[], Glance],
) -> Callable[[dict[str, Any] | None], None]:
    """A view that is drawn again in place: somebody is looking. Rich asks for the width anew.

    Args:
        look: Reads what stands beside the status.
    """
    from rich.live import Live

    from trainstack.search.cli.live_view import view

    live = Live("starting workers", console=err(), auto_refresh=False, vertical_overflow="ellipsis")
    live.start()

    width = [live.console.width]

    def show(status: dict[str, Any] | None) -> None:
        if status is None:
            live.stop()
            return
        if (now := live.console.width) != width[0]:
            # What the terminal has wrapped anew no longer has the height that we would go up by.
            width[0] = now
            live.console.clear()
        live.update(view(status, look(), now), refresh=True)

    return show
