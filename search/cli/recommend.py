"""`recommend` and `report`: print and write a study's conclusion."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainstack.search.cli.across import one_study, recommend_across
from trainstack.search.cli.common import AsJson, Storage, Study, no_url, out, print_json
from trainstack.search.cli.common import storage as reach
from trainstack.search.cli.report_files import keep, write
from trainstack.spaces.errors import NothingToRecommend, RequestError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

    from trainstack.search.queue.status import StudyStatus


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (recommend, report):
        app.command()(verb)


def recommend(
    study: Annotated[
        list[str],
        typer.Argument(help="Name of the study; several with --across.", callback=no_url),
    ],
    across: Annotated[
        bool,
        typer.Option("--across", help="Find one default for the data of several studies."),
    ] = False,
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """Print the recommendation; confirm first if necessary.

    Example: trainstack recommend digits --json
    """
    if across:
        recommend_across(study, as_json, storage)
        return
    name = one_study(study)
    with reach(storage) as (url, engine):
        settle(url, engine, name)
    conclude(url, name, as_json)


@dataclass(frozen=True)
class ReportFiles:
    """The files of a report.

    Attributes:
        study: The study's name.
        files: Their paths.
    """

    study: str
    files: tuple[str, ...]


def report(
    study: Study,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")] = Path(
        "trainstack-report"
    ),
    as_json: AsJson = False,
    storage: Storage = None,
) -> None:
    """Write the report as HTML and Markdown, with its pictures.

    The folder holds report.html, report.md, recommendation.json and the pictures.

    Example: trainstack report digits -o report
    """
    from trainstack.search.studies.conclusion import conclusion_of

    with reach(storage) as (url, engine):
        settle(url, engine, study)
        paths = write(conclusion_of(engine, study), output)
    if as_json:
        print_json(ReportFiles(study, tuple(map(str, paths))))
    else:
        out().print(str(output / "report.html"), markup=False)


def check_settles(status: StudyStatus) -> None:
    """Refuse a study that cannot be concluded now.

    Raises:
        RequestError: Other workers are still searching.
        NothingToRecommend: No trial finished.
    """
    study = status.study
    if status.phase == "searching":
        if _busy(status) and status.state == "searching":
            raise RequestError(
                f"study '{study}' is still searching",
                "a study whose search has ended",
                f"wait, or end it: trainstack stop {shlex.quote(study)}",
            )
        if not sum(status.counts[k] for k in ("completed", "pruned", "diverged", "running")):
            raise NothingToRecommend(f"study '{study}' has no finished trial yet")


def settle(url: URL, engine: Engine, study: str) -> None:
    """Conclude the study if necessary, with workers on this machine.

    Raises:
        RequestError, NothingToRecommend: See `check_settles`.
        StudyError: There is no such study.
    """
    from trainstack.search.cli.checks import worker_count
    from trainstack.search.cli.watch import work
    from trainstack.search.queue import queries
    from trainstack.search.studies.actions import request_state

    status = queries.status(engine, study)
    if status.concluded:
        return
    check_settles(status)
    if status.phase == "searching":
        request_state(url, study, "stop")
    elif status.state != "confirming":
        request_state(url, study, "go")
    work(url, study, 0 if _busy(status) else worker_count(None))


def _busy(status: StudyStatus) -> bool:
    """Tell whether a worker of the study was seen within a minute."""
    return any(w.last_seen_seconds < 60 and w.state != "lost" for w in status.workers)


def conclude(url: URL, study: str, as_json: bool) -> None:
    """Print the recommendation, then write its report into the study's artifacts.

    A report that cannot be written causes a warning; the exit code stays 0.

    Raises:
        NothingToRecommend: No trial finished.
    """
    from trainstack.search.conclusion.text import text_of
    from trainstack.search.database.connection import connected
    from trainstack.search.studies.conclusion import conclusion_of

    with connected(url) as here:
        conclusion = conclusion_of(here, study)
    try:
        if as_json:
            print_json(conclusion.found)
        else:
            out().print(text_of(conclusion.found), markup=False)
    except BrokenPipeError:
        keep(conclusion)
        raise
    folder = keep(conclusion)
    if folder is not None and not as_json:
        out().print(f"\nReport: {folder / 'report.html'}", markup=False, soft_wrap=True)
