"""A network given as a function becomes a file that workers can run."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainstack.search.own_network import read_network
from trainstack.search.python.functions import network_file
from trainstack.search.user_code import run_code
from trainstack.spaces.errors import RequestError

WIDTH = 3
LOWEST: int = -2
SIZES = {"small": (1, -1)}
RUN = [1].copy()  # what a program does is left out


def build(stack: object, inputs: object, outputs: int) -> int:
    """Use a constant of the module."""
    return WIDTH + outputs + LOWEST + sum(SIZES["small"])


def test_a_function_is_written_with_what_it_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has imports, functions and constants of the module, and nothing that runs."""
    monkeypatch.setenv("TRAINSTACK_HOME", str(tmp_path))
    network = read_network(network_file(build))
    assert network.function == "build"
    assert "\nRUN" not in network.code
    module = run_code("--network", network.file, network.code)
    assert module.build(None, None, 4) == 5
    assert network_file("net.py:build") == "net.py:build"


def test_something_without_source_is_refused() -> None:
    """An object whose source cannot be read gives one line."""
    with pytest.raises(RequestError, match="its source cannot be read"):
        network_file(len)
