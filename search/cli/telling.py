"""`logs` and `workers`: what happened in a study, and who works at it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from search.cli.common import AsJson, Storage, Study, out, print_json, seconds
from search.cli.common import storage as reach
from spaces.errors import RequestError

FOLLOW_SECONDS = 1.0
# Lines of each log file of this machine that are shown.
MOST_LINES = 200


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (workers, logs):
        app.command()(verb)


def workers(study: Study, as_json: AsJson = False, storage: Storage = None) -> None:
    """Who works at a study now: machine, device, state, trial, and when last heard of."""
    from rich.table import Table

    from search.fleet import inspect

    with reach(storage) as (_, engine):
        found = inspect.status(engine, study)["workers"]
    if as_json:
        print_json(found)
        return
    if not found:
        out().print(f"no worker: start one with `trainstack worker {study}`", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("worker", "device", "threads", "state", "trial", "heard"):
        table.add_column(title, overflow="fold")
    for worker in found:
        trial = "–" if worker["trial"] is None else str(worker["trial"])
        heard = f"{seconds(worker['last_seen_seconds'])} ago"
        shown = (worker["id"], worker["device"], str(worker["threads"]), worker["state"])
        table.add_row(*shown, trial, heard)
    out().print(table)


def logs(
    study: Study,
    trial: Annotated[
        int | None,
        typer.Argument(min=0, max=2**31 - 1, help="Number of a search trial; none: everything."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on as more happens, until the study is over.")
    ] = False,
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """What happened, from any machine; and what this machine's workers wrote.

    Events and causes come from the database. With a trial: its attempts, and why it ended so.
    """
    if follow and as_json:
        raise RequestError("--follow with --json", "one of them")
    from search.fleet import inspect
    from search.fleet.glance import trial_exists

    with reach(storage) as (_, engine):
        events = inspect.history(engine, study)
        attempts: list[dict[str, Any]] = []
        if trial is not None:
            trial_exists(engine, study, trial)
            attempts = inspect.attempts_json(engine, study, trial)
        files = log_files(study) if trial is None else []
        if as_json:
            lines = {str(path): tail(path) for path in files}
            told = list(of_trial(events, trial))
            print_json({"study": study, "events": told, "attempts": attempts, "files": lines})
            return
        _say_files(files)
        _say_events(of_trial(events, trial))
        _say_attempts(attempts)
        while follow and not _over(inspect.status(engine, study)):
            time.sleep(FOLLOW_SECONDS)
            news = inspect.history(engine, study, events[-1]["id"] if events else 0)
            events += news
            _say_events(of_trial(news, trial))


def _over(status: dict[str, Any]) -> bool:
    from search.cli.watching import over

    return over(status)


def of_trial(events: Sequence[dict[str, Any]], trial: int | None) -> Iterator[dict[str, Any]]:
    """Return the events of one search trial, or all."""
    for event in events:
        if trial is None or (event["trial"] == trial and event["phase"] == "search"):
            yield event


def log_files(study: str) -> list[Path]:
    """Return the files that workers which `launch` started here wrote for a study, oldest first."""
    from search.fleet.connect import home

    folder = home() / "logs" / quote(study, safe="")
    found = [path for path in folder.glob("*.log") if path.is_file() and path.stat().st_size]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def tail(path: Path) -> list[str]:
    """Return the last lines of a log file."""
    return path.read_text("utf-8", "replace").splitlines()[-MOST_LINES:]


def _say_files(files: Sequence[Path]) -> None:
    for path in files:
        out().print(f"{path}:", markup=False)
        for line in tail(path):
            out().print(f"  {line}", markup=False)


def _say_events(events: Iterator[dict[str, Any]]) -> None:
    for event in events:
        at = datetime.fromisoformat(event["at"]).astimezone()
        words = [f"{at:%Y-%m-%d %H:%M:%S}", event["kind"]]
        if event["trial"] is not None:
            words.append(
                f"{'run' if event['phase'] == 'confirmation' else 'trial'} {event['trial']}"
            )
        first, *rest = event["message"].strip().splitlines() or [""]
        out().print(" ".join([*words, first]).rstrip(), markup=False)
        for line in rest:
            out().print(f"    {line}", markup=False)


def _say_attempts(attempts: Sequence[dict[str, Any]]) -> None:
    for attempt in attempts:
        words = f"attempt {attempt['attempt']}: {attempt['ending'] or 'under way'}"
        out().print(words, markup=False)
        for line in (attempt["cause"] or "").strip().splitlines():
            out().print(f"    {line}", markup=False)
