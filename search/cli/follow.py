"""`--follow`: a listing that is updated while a study runs, as a view, lines or JSON."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from trainstack.search.cli.common import out, print_line
from trainstack.search.cli.interruptions import viewing
from trainstack.search.cli.polling import Polling, when_changed

if TYPE_CHECKING:
    from rich.console import RenderableType
    from sqlalchemy import Engine

    from trainstack.search.queue.status import StudyStatus

T = TypeVar("T")

Follow = Annotated[
    bool,
    typer.Option(
        "--follow", help="Show changes until the study is over; JSON: one document per line."
    ),
]

# Least interval between two queries, as a multiple of the time that a query took.
COST_TIMES = 10.0


def follow(
    engine: Engine,
    study: str,
    look: Callable[[StudyStatus], Any],
    documents: Callable[[Any, Any], Iterable[Any]],
    draw: Callable[[Any], RenderableType],
    line: Callable[[Any], str],
    as_json: bool,
) -> None:
    """Show part of a study whenever it has changed, until the study is over.

    Args:
        engine: Database engine.
        study: Name of the study.
        look: Maps a status to what is shown.
        documents: Maps what was shown before (None at first) and now to the new documents.
        draw: Renders what is shown for a terminal, where it is redrawn in place.
        line: Formats a document as one line of text.
        as_json: Print documents as JSON, one per line; else a live view on a terminal, and lines
            elsewhere.

    Raises:
        StudyError: There is no such study.
    """
    from rich.live import Live

    show = print_line if as_json else lambda document: out().print(line(document), markup=False)
    live = None
    if not as_json and sys.stdout.isatty():
        live = Live("", console=out(), auto_refresh=False, vertical_overflow="ellipsis")
    last = None
    with viewing() as interruption, live or contextlib.nullcontext():
        polling = Polling(interruption.pause, cost_times=COST_TIMES)
        for status in when_changed(polling.statuses(engine, study), moment):
            found = look(status)
            if live is not None:
                live.update(draw(found), refresh=True)
            else:
                for document in documents(last, found):
                    show(document)
            last = found


def moment(status: StudyStatus) -> StudyStatus:
    """Return a status without the times that change with the clock alone."""
    workers = tuple(replace(worker, last_seen_seconds=0.0) for worker in status.workers)
    return replace(status, elapsed_seconds=0.0, remaining_seconds=None, workers=workers)


def changed(
    before: Iterable[T] | None,
    now: Iterable[T],
    name: Callable[[T], Any],
    of: Callable[[T], Any],
) -> list[T]:
    """Return the rows that are new or changed.

    Args:
        before: Rows as they were; None: there were none.
        now: Rows as they are.
        name: Returns what identifies a row.
        of: Returns what is compared; not None.

    >>> changed(["a1", "b1"], ["a1", "b2", "c1"], lambda row: row[0], lambda row: row[1])
    ['b2', 'c1']
    """
    known = {name(row): of(row) for row in before or ()}
    return [row for row in now if known.get(name(row)) != of(row)]
