"""The examples in docstrings."""

from __future__ import annotations

import doctest
import importlib

import pytest

from tests.support.documents import ROOT

FILES = [p for package in ("spaces", "search", "workers") for p in (ROOT / package).rglob("*.py")]
MODULES = sorted(
    "trainstack." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in FILES
    if "    >>> " in path.read_text("utf-8")
)


@pytest.mark.parametrize("name", ["trainstack", *MODULES])
def test_examples_run(name: str) -> None:
    """Every example in a docstring gives the shown result."""
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert (failed, attempted > 0) == (0, True)
