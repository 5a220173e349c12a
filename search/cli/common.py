"""Flags, storage access and printing shared by the verbs."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainstack.search.json_values import json_safe
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy import URL, Engine

# Width of a line of progress, in characters.
COLUMNS = 80


def study_names(incomplete: str) -> list[str]:
    """Complete a study's name if the database answers at once; no database is started."""
    from trainstack.search.queue.progress import names

    with contextlib.suppress(Exception):  # shell completion cannot show errors
        return [name for name in names() if name.startswith(incomplete)]
    return []


def no_url(names: Any) -> Any:
    """Reject a storage URL where a study's name is expected, without repeating its password.

    Args:
        names: One name, several names, or None.

    Raises:
        RequestError: A name is a URL.
    """
    from trainstack.search.database.url_parameters import is_url

    for name in [names] if isinstance(names, str) else names or ():
        if is_url(name):
            raise RequestError(
                "a storage URL where a study's name is expected",
                "a name such as digits",
                "pass the URL with --storage",
            )
    return names


Study = Annotated[
    str,
    typer.Argument(help="Name of the study.", autocompletion=study_names, callback=no_url),
]
Storage = Annotated[
    str | None,
    typer.Option(help="PostgreSQL URL; default: TRAINSTACK_STORAGE, else the embedded database."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@contextlib.contextmanager
def storage(flag: str | None) -> Iterator[tuple[URL, Engine]]:
    """Yield the storage's URL and an engine on it; create the tables if necessary.

    Raises:
        StorageAwayError: The database does not answer, at the start or later.
    """
    from trainstack.search.database.connection import connected, storage_url
    from trainstack.search.database.schema import ensure

    url = storage_url(flag)
    with connected(url) as here:
        ensure(here)
        yield url, here


def print_json(document: Any) -> None:
    """Print records or values as a JSON document on standard output, as `json_safe` makes it.

    A list is printed one entry per line: indenting many trials would take seconds.
    """
    if isinstance(document, list | tuple):
        lines = ",\n".join(map(_text, document))
        sys.stdout.write(f"[\n{lines}\n]\n" if lines else "[]\n")
    else:
        sys.stdout.write(_text(document, indent=2) + "\n")
    sys.stdout.flush()


def print_line(document: Any) -> None:
    """Print records or values as a JSON document on one line of standard output."""
    sys.stdout.write(_text(document) + "\n")
    sys.stdout.flush()


def _text(document: Any, indent: int | None = None) -> str:
    return json.dumps(json_safe(document), indent=indent, allow_nan=False)


def read_json(path: Path, what: str) -> Any:
    """Read a user's JSON file.

    Raises:
        RequestError: It cannot be read or is not JSON; `what` names it in the message.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RequestError(f"{what} {path}: {error.strerror}", "a file that can be read") from None
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{what} {path} is not JSON ({error})") from None


def out() -> Console:
    """Return a console for results (standard output)."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, soft_wrap=not sys.stdout.isatty())


def err() -> Console:
    """Return a console for progress and messages (standard error)."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False, soft_wrap=not sys.stderr.isatty())


def number(value: float | None, digits: int = 4) -> str:
    """Format a number; a dash stands for none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def fitting(*texts: str) -> str:
    """Return the first text that fits a line of 80 columns; the last one if none does.

    >>> fitting("a" * 81, "b" * 80, "c")[:3]
    'bbb'
    """
    return next((text for text in texts if len(text) <= COLUMNS), texts[-1])


def seconds(value: float | None) -> str:
    """Format a duration in seconds for display.

    >>> seconds(75)
    '1 min 15 s'
    """
    if value is None or not math.isfinite(value):
        return "–"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
