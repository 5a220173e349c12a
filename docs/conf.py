"""Sphinx configuration: the Markdown pages as a site (`make site`).

For the reasons see docs/decisions/0020-sphinx-for-the-site.md.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

project = "trainstack"
extensions = ["myst_parser"]

# The source is the whole repository, so that pages and the README can link to each other.
root_doc = "docs/README"
include_patterns = ["README.md", "CONTRIBUTING.md", "docs/**.md"]
exclude_patterns = [".*", "build", "dist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "trainstack"
html_copy_source = False
html_show_copyright = False

_SECTION = re.compile(r"^## +(.+)$", re.M)
_PAGE = re.compile(r"\]\(([^):#]+)\.md[^)]*\)")


def contents(text: str) -> str:
    """Return the tables of contents for a page of links: the linked pages, by heading.

    The visible links are therefore the only list of pages, and Sphinx warns of a page that is not
    linked.
    """
    _, *parts = ["", *_SECTION.split(text)]
    parts = ["", *parts]
    listed: set[str] = set()
    trees = []
    for caption, body in zip(parts[::2], parts[1::2], strict=True):
        pages = [page for page in dict.fromkeys(_PAGE.findall(body)) if page not in listed]
        listed.update(pages)
        if pages:
            options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
            trees.append("\n".join(["```{toctree}", *options, "", *pages, "```"]))
    return "\n\n".join(trees)


def _add_contents(app: Any, page: str, source: list[str]) -> None:
    """Append the contents to each page of links: the READMEs below docs/."""
    path = PurePosixPath(page)
    if path.name == "README" and path.parts[0] == "docs":
        source[0] += "\n\n" + contents(source[0]) + "\n"


def _add_index(app: Any, error: Exception | None) -> None:
    """Redirect from the site's root to its first page."""
    if error is None and app.builder.name == "html":
        page = f'<!doctype html><meta http-equiv="refresh" content="0; url={root_doc}.html">\n'
        (Path(app.outdir) / "index.html").write_text(page, "utf-8")


def setup(app: Any) -> None:
    """Register the event handlers; Sphinx calls this."""
    app.connect("source-read", _add_contents)
    app.connect("build-finished", _add_index)
