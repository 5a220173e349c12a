"""`logs` and `workers`: what happened in a study, and who works at it."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainstack.search.cli.common import (
    AsJson,
    Storage,
    Study,
    out,
    print_json,
    print_line,
    seconds,
)
from trainstack.search.cli.common import storage as reach
from trainstack.search.cli.follow import Follow, changed
from trainstack.search.cli.interruptions import viewing
from trainstack.search.cli.polling import Polling

if TYPE_CHECKING:
    from rich.table import Table

    from trainstack.search.queue.status import WorkerStatus
    from trainstack.search.queue.study_log import Attempt, StudyEvent

FOLLOW_SECONDS = 1.0
# Last lines shown of each local log file.
MOST_LINES = 200


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (workers, logs):
        app.command()(verb)


def workers(
    study: Study, follow: Follow = False, as_json: AsJson = False, storage: Storage = None
) -> None:
    """List a study's workers: machine, device, state and trial.

    With --follow, print workers that join, leave or change trial.

    Example: trainstack workers digits --follow
    """
    from trainstack.search.cli.follow import follow as follow_study
    from trainstack.search.queue import queries

    with reach(storage) as (_, engine):
        if follow:
            look, news = (lambda status: status.workers), _news_json if as_json else _news
            follow_study(engine, study, look, news, _workers_table, _worker_line, as_json)
            return
        found = queries.status(engine, study).workers
    if as_json:
        print_json(found)
        return
    if not found:
        starts = f"trainstack worker {shlex.quote(study)}"
        out().print(f"no worker: start one with `{starts}`", markup=False)
        return
    out().print(_workers_table(found))


def _workers_table(found: Sequence[WorkerStatus]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("worker", "device", "threads", "state", "trial", "last seen"):
        table.add_column(title, overflow="fold")
    for worker in found:
        trial = "–" if worker.trial is None else str(worker.trial)
        last_seen = f"{seconds(worker.last_seen_seconds)} ago"
        shown = (worker.id, worker.device, str(worker.threads), worker.state)
        table.add_row(*shown, trial, last_seen)
    return table


def _news_json(last: Any, now: Any) -> list[Any]:
    """Return the whole list as one document, as `workers --json` prints it."""
    return [now]


def _news(last: Sequence[WorkerStatus] | None, now: Sequence[WorkerStatus]) -> list[WorkerStatus]:
    """Return the workers that are new, changed or gone."""
    here = {worker.id for worker in now}
    gone = [replace(w, state="gone", trial=None) for w in last or () if w.id not in here]
    return [*changed(last, now, lambda w: w.id, lambda w: (w.state, w.trial)), *gone]


def _worker_line(worker: WorkerStatus) -> str:
    trial = "" if worker.trial is None else f", trial {worker.trial}"
    return f"{worker.id} ({worker.device}): {worker.state}{trial}"


def logs(
    study: Study,
    trial: Annotated[
        int | None,
        typer.Argument(min=0, max=2**31 - 1, help="Number of a search trial; default: all."),
    ] = None,
    follow: Follow = False,
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """Show a study's events, and the logs of this machine's workers.

    Events and causes come from the database. With a trial, show its attempts and why each ended.
    With --json --follow, print events only, one per line.

    Example: trainstack logs digits --follow
    """
    from trainstack.search.queue.history import attempts_at, history
    from trainstack.search.queue.progress import trial_exists
    from trainstack.search.queue.study_log import StudyLog

    with reach(storage) as (_, engine):
        events = history(engine, study)
        attempts: list[Attempt] = []
        if trial is not None:
            trial_exists(engine, study, trial)
            attempts = attempts_at(engine, study, trial)
        files = log_files(study) if trial is None else []
        if as_json and not follow:
            lines = {str(path): tail(path) for path in files}
            shown = list(of_trial(events, trial))
            print_json(StudyLog(study, shown, attempts, lines))
            return
        with viewing() if follow else contextlib.nullcontext() as interruption:
            if not as_json:
                _print_files(files)
            _print_events(of_trial(events, trial), as_json)
            if not as_json:
                _print_attempts(attempts)
            if interruption is None:
                return
            # The status is read first, so that the last events are shown too.
            for _ in Polling(interruption.pause, FOLLOW_SECONDS).statuses(engine, study):
                news = history(engine, study, events[-1].id if events else 0)
                events += news
                _print_events(of_trial(news, trial), as_json)


def of_trial(events: Sequence[StudyEvent], trial: int | None) -> Iterator[StudyEvent]:
    """Yield the events of one search trial, or all events."""
    from trainstack.search.records import SEARCH

    for event in events:
        if trial is None or (event.trial == trial and event.phase == SEARCH):
            yield event


def log_files(study: str) -> list[Path]:
    """Return the log files of workers that `launch` started here for a study, oldest first."""
    from trainstack.search.artifact_names import folder_of
    from trainstack.search.database.connection import home

    folder = home() / "logs" / folder_of(study)
    found = [path for path in folder.glob("*.log") if path.is_file() and path.stat().st_size]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def tail(path: Path) -> list[str]:
    """Return the last MOST_LINES lines of a log file."""
    return path.read_text("utf-8", "replace").splitlines()[-MOST_LINES:]


def _print_files(files: Sequence[Path]) -> None:
    for path in files:
        out().print(f"{path}:", markup=False)
        for line in tail(path):
            out().print(f"  {line}", markup=False)


def _print_events(events: Iterator[StudyEvent], as_json: bool) -> None:
    from trainstack.search.records import CONFIRMATION

    for event in events:
        if as_json:
            print_line(event)
            continue
        at = datetime.fromisoformat(event.at).astimezone()
        words = [f"{at:%Y-%m-%d %H:%M:%S}", event.kind]
        if event.trial is not None:
            words.append(f"{'run' if event.phase == CONFIRMATION else 'trial'} {event.trial}")
        first, *rest = event.message.strip().splitlines() or [""]
        out().print(" ".join([*words, first]).rstrip(), markup=False)
        for line in rest:
            out().print(f"    {line}", markup=False)


def _print_attempts(attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        words = f"attempt {attempt.attempt}: {attempt.ending or 'under way'}"
        out().print(words, markup=False)
        for line in (attempt.cause or "").strip().splitlines():
            out().print(f"    {line}", markup=False)
