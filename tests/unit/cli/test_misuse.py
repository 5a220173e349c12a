"""Every verb, misused in all ways that its arguments allow: one line, exit 2, no traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from docs.command_page import verbs
from trainstack.search.cli.common import err, out
from trainstack.search.cli.main import app, run

COMMAND = str(Path(sys.executable).with_name("trainstack"))
VERBS = {
    name.removeprefix("trainstack "): verb for name, verb in verbs(typer.main.get_command(app))
}


def misuses() -> list[list[str]]:
    """Return invalid command lines."""
    found = [["no-such-verb"], ["space", "no-such-verb"]]
    for name, verb in VERBS.items():
        words = name.split()
        arguments = [p for p in verb.params if not p.opts[0].startswith("-")]
        given = ["1"] * sum(p.required for p in arguments)
        found.append([*words, *given, "--no-such-flag"])
        if given:
            found.append(words[:])
        if not any(p.nargs == -1 for p in arguments):
            found.append([*words, *["1"] * (len(arguments) + 1)])
        for flag in verb.params:
            option = flag.opts[0]
            if not option.startswith("--") or option == "--help" or flag.is_flag:
                continue
            found.append([*words, *given, option])  # its value is missing
            kind = getattr(flag.type_descriptor.annotation, "__name__", "")
            if kind in ("int", "float"):
                found.append([*words, *given, option, "many"])
    return found


@pytest.mark.parametrize("argv", misuses(), ids=" ".join)
def test_misuse_is_one_line(
    argv: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown verbs and flags, missing and surplus arguments, and mistyped values exit 2."""
    # An unreachable storage: an invalid URL would be reported instead.
    monkeypatch.setenv("TRAINSTACK_STORAGE", "postgresql://nobody@127.0.0.1:1/none")
    assert run(argv) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert output.err.startswith("trainstack: ")
    assert re.search(r"[^.]; see `trainstack.* --help`$", output.err.rstrip())


@pytest.mark.parametrize("name", VERBS)
def test_each_verb_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each verb exits 0, and describes the verb and every flag."""
    assert run([*name.split(), "--help"]) == 0
    assert name.rsplit(maxsplit=1)[-1] in capsys.readouterr().out
    assert VERBS[name].help
    assert [p.name for p in VERBS[name].params if not p.help] == []


@pytest.mark.parametrize("name", VERBS)
def test_each_verbs_help_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each verb ends with an example command that uses its existing flags."""
    run([*name.split(), "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"Example: trainstack {name}" in shown
    words = (VERBS[name].help or "").rpartition("Example: ")[2].split()
    flags = {option for parameter in VERBS[name].params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= flags


@pytest.mark.parametrize("name", VERBS)
def test_each_flag_misspelt_is_answered_with_the_nearest(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flag with an additional letter is refused with the nearest flag."""
    for parameter in VERBS[name].params:
        option = parameter.opts[0]
        if option.startswith("--") and len(option) > 6:
            assert run([*name.split(), f"{option}s"]) == 2
            assert option in capsys.readouterr().err


@pytest.mark.process
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell: str) -> None:
    """Each shell's script names the command, and completes verbs and flags."""
    assert "trainstack" in completing(f"source_{shell}")
    typed = {"COMP_WORDS": "trainstack rec", "COMP_CWORD": "1"}
    typed |= {"_TYPER_COMPLETE_ARGS": "trainstack rec", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert "recommend" in completing(f"complete_{shell}", **typed)


def completing(instruction: str, **typed: str) -> str:
    """Return the command's reply to a shell's completion request."""
    environment = {**os.environ, "_TRAINSTACK_COMPLETE": instruction, **typed}
    done = subprocess.run([COMMAND], env=environment, capture_output=True, text=True, check=False)
    return done.stdout


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR a terminal gets no colour."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    for console in (out(), err()):
        assert console.no_color
