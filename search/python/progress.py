"""Progress of a study: redrawn in place in a notebook, or as lines."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainstack.spaces.errors import TrainstackError

if TYPE_CHECKING:
    from sqlalchemy import URL

LOG = logging.getLogger("trainstack")
# Width of the view in a notebook, in characters.
WIDTH = 100
# Seconds between two drawings.
EVERY_SECONDS = 1.0
# How rich writes the default colour.
_BLACK = "color: #000000; text-decoration-color: #000000; "


def in_notebook() -> bool:
    """Return True in a Jupyter kernel."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


@dataclass
class Progress:
    """What is shown while a study runs.

    Attributes:
        line: Shows one line.
        draw: Draws the study in place; None: nothing is drawn.
    """

    line: Callable[[str], object]
    draw: Callable[[], object] | None = None
    _next: float = field(default=0.0, init=False)

    @classmethod
    def chosen(cls, shown: bool | None, study: str, url: URL) -> Progress:
        """Return the progress as a program asks for it; None: in a notebook only."""
        notebook = in_notebook()
        if not (notebook if shown is None else shown):
            return cls(lambda line: None)
        if notebook:
            return cls(lambda line: None, _Cell(study, url).draw)
        return cls(lambda line: print(line, file=sys.stderr))  # noqa: T201 - it is asked for

    def say(self, line: str) -> None:
        """Show and log one line."""
        LOG.info("%s", line)
        self.line(line)

    def tick(self) -> None:
        """Draw again if it is time to."""
        if self.draw is not None and time.monotonic() >= self._next:
            self.draw()
            self._next = time.monotonic() + EVERY_SECONDS

    def close(self) -> None:
        """Draw for the last time."""
        if self.draw is not None:
            self.draw()


class _Cell:
    """The output of a notebook's cell in which a study is drawn.

    Args:
        study: The study's name.
        url: The database.
    """

    def __init__(self, study: str, url: URL) -> None:
        self.study, self.url = study, url
        self._shown: Any = None

    def draw(self) -> None:
        """Draw the study as it is now; nothing before it exists, or while the database is away."""
        from IPython.display import HTML, display

        with contextlib.suppress(TrainstackError):
            html = HTML(view_of(self.study, self.url))
            if self._shown is None:
                self._shown = display(html, display_id=True)
            else:
                self._shown.update(html)


def view_of(study: str, url: URL) -> str:
    """Return the live view of a study as HTML.

    Raises:
        StorageAwayError: The database does not answer.
        StudyError: There is no such study.
    """
    import io

    from rich.console import Console

    from trainstack.search.cli.live_view import view
    from trainstack.search.database.connection import connected
    from trainstack.search.queue import queries
    from trainstack.search.queue.progress import read_snapshot

    with connected(url) as here:
        found = view(queries.status(here, study), read_snapshot(here, study), WIDTH)
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), highlight=False, force_jupyter=False
    )
    console.print(found)
    lines = '<pre style="line-height: 1.3; font-family: monospace">{code}</pre>'
    page = console.export_html(inline_styles=True, code_format=lines)
    return page.replace(_BLACK, "")  # a notebook's own colour, which may be light on dark
