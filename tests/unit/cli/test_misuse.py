"""Every verb, misused in the ways that its arguments allow: one line, exit 2, no traceback."""

from __future__ import annotations

import pytest
import typer

from docs.generate import verbs
from search.cli.main import app, run

VERBS = {
    name.removeprefix("trainstack "): verb for name, verb in verbs(typer.main.get_command(app))
}


def misuses() -> list[list[str]]:
    """Return command lines that no verb may take."""
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
    """Unknown verbs and flags, missing and surplus arguments, and values of another kind exit 2."""
    # Nothing may be reached: a storage that is no URL would be told instead.
    monkeypatch.setenv("TRAINSTACK_STORAGE", "postgresql://nobody@127.0.0.1:1/none")
    assert run(argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("trainstack: ")
    assert "--help" in said.err


@pytest.mark.parametrize("name", VERBS)
def test_each_verb_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each verb exits 0, and says what it does and what every flag is for."""
    assert run([*name.split(), "--help"]) == 0
    assert name.rsplit(maxsplit=1)[-1] in capsys.readouterr().out
    assert VERBS[name].help
    assert [p.name for p in VERBS[name].params if not p.help] == []
