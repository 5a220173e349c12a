"""Markdown for the generated pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

NOTICE = "<!-- Written by `make docs` from the code: change the code, not this page. -->"


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [list(titles)]
    lines += [["---"] * len(lines[0]), *(list(row) for row in rows)]
    return "\n".join(
        "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines
    )


def code(text: Any) -> str:
    """Return the text as inline code."""
    return f"`{text}`"


def page(title: str, *parts: str) -> str:
    """Return a page: its notice, its title and its parts."""
    return "\n\n".join((NOTICE, f"# {title}", *parts)) + "\n"
