"""What the command says about itself."""

from __future__ import annotations

from importlib.metadata import version

import pytest

import trainstack
from docs.command_page import verbs
from trainstack.search.cli.main import command, run


def test_the_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture[str]) -> None:
    """The command and the package name the version that is installed."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"trainstack {version('trainstack')}\n"
    assert trainstack.__version__ == version("trainstack")


def test_no_verb_is_cut_short_in_the_list_of_verbs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of verbs holds a whole sentence for each on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    run(["--help"])
    listed = capsys.readouterr().out.partition("Commands:\n")[2].splitlines()
    assert {line.split()[0] for line in listed} >= {name.split()[1] for name, _ in verbs(command())}
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []
