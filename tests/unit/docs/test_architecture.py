"""The architecture page compared with the tree, and the installed package."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import trainstack
from tests.support.documents import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PACKAGES = ("spaces", "search", "workers")
ROOM = re.compile(r"^\| `((?:search|workers)/\w+/)` \|", re.M)


def rooms(package: str) -> set[str]:
    """Return the folders of a package that contain modules."""
    found = (ROOT / package).glob("*/__init__.py")
    return {f"{path.parent.relative_to(ROOT).as_posix()}/" for path in found}


def layers(package: str) -> list[str]:
    """Return the folders of a package in the order of import-linter's contract."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    contract = text.split(f'containers = ["trainstack.{package}"]')[1].split("[[")[0]
    names = re.findall(r"[\w ]+", contract.split("layers = [")[1].split("]")[0].replace("|", '"'))
    return [f"{package}/{n.strip()}/" for n in names if (ROOT / package / n.strip()).is_dir()]


def test_every_room_stands_on_the_page_in_its_layer() -> None:
    """The page lists every folder in the order of the linter's contract."""
    listed = ROOM.findall(PAGE)
    for package in ("search", "workers"):
        mine = [room for room in listed if room.startswith(package)]
        assert set(mine) == rooms(package)
        assert mine == [room for room in layers(package) if room in mine]


def test_every_path_on_the_page_is_there() -> None:
    """Every path on the page exists."""
    paths = re.findall(r"`((?:search|spaces|workers|docs|tests)/[\w./]*)`", PAGE)
    assert len(paths) > 50
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.process
def test_the_package_has_one_name() -> None:
    """No module is loaded under its folder's name alone."""
    code = (
        "import sys, trainstack.search.cli.main, trainstack.workers.runtime.supervisor\n"
        "print(*(name for name in sys.modules if name.split('.')[0] in "
        f"{PACKAGES}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout.strip() == ""


@pytest.mark.process
def test_the_public_names() -> None:
    """Every public name exists, and importing the package imports nothing slow."""
    assert [name for name in trainstack.__all__ if getattr(trainstack, name) is None] == []
    assert set(trainstack.__all__) <= set(dir(trainstack))
    code = "import sys, trainstack; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "optuna", "sqlalchemy", "tensorflow"} & set(loaded.stdout.split())


@pytest.mark.process
def test_the_command_starts_without_what_only_verbs_need() -> None:
    """The command's help loads neither a stack, nor the artifact store, nor a slow library."""
    code = "import sys, trainstack.search.cli.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    late = {"trainstack.spaces.stack", "trainstack.search.artifacts", "trainstack.search.records"}
    assert not {*late, "numpy", "optuna", "sqlalchemy", "rich"} & set(loaded.stdout.split())


def test_the_links_of_the_package() -> None:
    """`trainstack/` has a relative link to each folder, independent of the checkout's location."""
    for package in PACKAGES:
        link = ROOT / "trainstack" / package
        assert Path(link.readlink()) == Path("..") / package
