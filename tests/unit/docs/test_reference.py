"""The documents match the code: reference pages, links, paths, commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate import PAGES
from tests.support.documents import ROOT, our_commands, shell_lines, understood

WRITTEN = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if path.name != "CHANGELOG.md"
)
# A path in code type: `spaces/activations.py`, not `<table>.py` or a glob.
_PATH = re.compile(
    r"`((?:spaces|search|workers|tests|docs|deploy|benchmarks)/[\w./-]+|\.ci/run|Makefile)`"
)
_FENCED = re.compile(r"^```.*?^```", re.S | re.M)
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_current(name: str) -> None:
    """The committed page equals the one generated from the code."""
    committed = (ROOT / "docs" / "reference" / name).read_text("utf-8")
    assert committed == PAGES[name](), "run `make docs`"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    """Every relative link and every path in code type exists."""
    text = page.read_text("utf-8")
    missing = [
        target
        for target in _LINK.findall(_FENCED.sub("", text))
        if "://" not in target and not (page.parent / target).exists()
    ]
    missing += [path for path in _PATH.findall(text) if not (ROOT / path.rstrip("/.")).exists()]
    assert not missing


@pytest.mark.parametrize("page", WRITTEN, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_are_ones_that_the_command_knows(page: Path) -> None:
    """Every `trainstack …` in a shell block parses, and every `make …` has its target."""
    lines = shell_lines(page.read_text("utf-8"))
    wrong = [problem for argv in our_commands(lines) if (problem := understood(argv))]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    for line in lines:
        words = line.split()
        if words[0] == "make":
            wrong += [f"make {word}" for word in words[1:] if word not in targets]
    assert not wrong


@pytest.mark.parametrize(
    ("argv", "right"),
    [
        (["launch", "digits", "--trials", "3"], True),
        (["space", "check", "mine.json"], True),
        (["launch", "digits", "--trails", "3"], False),
        (["lunch", "digits"], False),
        (["export", "s", "--format", "keras"], False),
    ],
)
def test_the_check_of_commands_can_fail(argv: list[str], right: bool) -> None:
    """Misspelt verbs and misspelt or missing flags are reported, correct commands are not."""
    assert (understood(argv) is None) == right


def test_every_dependency_has_its_reasons() -> None:
    """Every dependency in pyproject.toml is on the page about dependencies."""
    project = (ROOT / "pyproject.toml").read_text("utf-8").split("[project.scripts]")[0]
    named = set(re.findall(r'^    "([A-Za-z][\w-]*)[><=~]', project, re.M))
    assert {"optuna", "ruff"} <= named
    page = (ROOT / "docs" / "decisions" / "0010-dependencies.md").read_text("utf-8")
    assert [name for name in sorted(named) if not re.search(rf"\b{name}\b", page)] == []
