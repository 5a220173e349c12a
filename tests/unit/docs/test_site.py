"""The documentation as a site is built without a warning, and dead links fail the build."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.conf import contents
from tests.support.documents import ROOT

pytestmark = pytest.mark.process

STRICT = ("-W", "--keep-going", "-n", "-q")
# A page of links, a linked page, and an unlinked one.
PAGES = {
    "docs/README.md": "# Docs\n\n## Look\n\n[a](one.md#a-heading)\n[b](one.md#no-heading)\n",
    "docs/one.md": "# One\n\n## A heading\n\n[none](none.md)\n\n![none](none.png)\n",
    "docs/two.md": "# Two\n",
}


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Build a site as `make site` does."""
    folders = ("-c", source / "docs", "-d", target / "doctrees", source, target / "site")
    command = [sys.executable, "-m", "sphinx", *STRICT, *map(str, folders)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """Every page is in the site and its contents, with valid links, headings and pictures."""
    done = build(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    for page in ("README", "CONTRIBUTING"):
        assert (site / page).with_suffix(".html").exists()
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT)).with_suffix(".html").exists()
    first = (site / "docs" / "README.html").read_text("utf-8")
    assert 'href="how-to/steer.html"' in first
    assert "docs/README.html" in (site / "index.html").read_text("utf-8")


def test_what_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    """A dead link, heading or picture, and an unlinked page, each give a named error."""
    source = tmp_path / "source"
    for path, written in PAGES.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(written, "utf-8")
    shutil.copy(ROOT / "docs" / "conf.py", source / "docs")
    done = build(source, tmp_path)
    assert done.returncode != 0
    named = ("README.md:5.*no-heading", "one.md:5.*none.md", "one.md:7.*none.png", "two.md.*toc")
    for line in named:
        assert re.search(line, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == len(named)


def test_contents_are_the_links_by_their_headings() -> None:
    """External links are no pages, and a page is listed where it is linked first."""
    text = "[a](a.md)\n\n## Two\n[b](../b.md#x) [a](a.md) [web](https://example.org/c.md)\n"
    assert contents(text).split("\n\n```{toctree}") == [
        "```{toctree}\n:hidden:\n\na\n```",
        "\n:hidden:\n:caption: Two\n\n../b\n```",
    ]
