"""Progress of a study in the terminal, while workers of this machine serve it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from search.cli.common import err, number, seconds
from search.cli.local import LocalWorkers
from spaces.errors import RequestError, StorageAwayError, StudyError, TrainstackError

if TYPE_CHECKING:
    from sqlalchemy import URL

    from search.spec import StudySpec

POLL_SECONDS = 0.5
# Between two plain lines when nothing was counted meanwhile.
PLAIN_SECONDS = 30.0
AWAY_SECONDS = 120.0


def work(url: URL, spec: StudySpec, count: int) -> None:
    """Start workers and show progress until the study is over.

    Raises:
        KeyboardInterrupt: After the workers have given back what they held.
        TrainstackError: The workers cannot serve the study.
    """
    from search.fleet.connect import exported

    if _concluded(url, spec.study):
        return
    # Whoever ends us (a terminal that closes, `kill`) means what Ctrl-C means.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    local = LocalWorkers.start(exported(url), spec.study, count)
    try:
        watch(url, spec.study, lambda status: _check(local, status, count))
        local.wait(10.0)
    except KeyboardInterrupt:
        local.interrupt()
        err().print(
            "interrupted: running trials went back to the queue; "
            "the same command again goes on with the study"
        )
        raise
    finally:
        local.interrupt()


def _concluded(url: URL, study: str) -> bool:
    from search.fleet import inspect
    from search.fleet.connect import engine, guarded

    here = engine(url)
    with guarded(url):
        try:
            return inspect.status(here, study)["concluded"]
        finally:
            here.dispose()


def _check(local: LocalWorkers, status: dict[str, Any], count: int) -> None:
    """Say why when no worker of ours is left and none serves the study from elsewhere."""
    if count == 0 or local.alive():
        return
    others = [w for w in status["workers"] if w["last_seen_seconds"] < 60]
    failure = local.failure()
    if failure is None or others:
        return
    code, message = failure
    for kind in (RequestError, StorageAwayError, StudyError):
        if code == kind.exit_code:
            raise kind(message)
    raise TrainstackError(message)


def watch(
    url: URL, study: str, check: Callable[[dict[str, Any]], None] = lambda status: None
) -> None:
    """Show progress until the study is concluded or stopped; a paused one is waited for.

    Raises:
        StorageAwayError: The database has been away for too long.
    """
    from search.fleet import inspect
    from search.fleet.connect import engine, guarded

    show = _live() if sys.stderr.isatty() else _plain()
    here = engine(url)
    away_since = None
    try:
        while True:
            try:
                with guarded(url):
                    status = inspect.status(here, study)
                away_since = None
            except StorageAwayError:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > AWAY_SECONDS:
                    raise
                time.sleep(POLL_SECONDS)
                continue
            show(status)
            if status["concluded"] or status["state"] == "stopped":
                return
            check(status)
            time.sleep(POLL_SECONDS)
    finally:
        show(None)
        here.dispose()


def line_of(status: dict[str, Any]) -> str:
    """Say how far a study is in one line of at most about 80 characters."""
    counts, confirm = status["counts"], status["confirmation"]
    spent = sum(counts[k] for k in ("completed", "pruned", "diverged", "infeasible"))
    best = status["best"]
    if status["phase"] == "searching":
        asides = [
            f"{counts[k]} {k}" for k in ("pruned", "diverged", "infeasible", "failed") if counts[k]
        ]
        text = f"{status['state']}: {spent} of {status['budget']['trials']} trials"
        text += f" ({', '.join(asides)})" if asides else ""
    elif status["measurement"]["waiting"] or status["measurement"]["running"]:
        text = "measuring the choice on the test set, once"
    else:
        done = confirm["completed"] + confirm["diverged"] + confirm["infeasible"]
        total = done + confirm["waiting"] + confirm["running"]
        text = f"{status['state']}: {done} of {total} runs with fresh seeds"
    if best:
        text += f", best loss {number(best['value'])}"
    return f"{text}, {seconds(status['elapsed_seconds'])}"


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


def _live() -> Callable[[dict[str, Any] | None], None]:
    """One line that is drawn again, with a spinner: somebody is looking."""
    from rich.status import Status

    live = Status("starting workers", console=err())
    live.start()

    def show(status: dict[str, Any] | None) -> None:
        if status is None:
            live.stop()
        else:
            live.update(line_of(status))

    return show
