"""Reading command lines as the command itself would, without running them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import typer

from search.cli.main import app

ROOT = Path(__file__).parents[3]
_FENCED = re.compile(r"```(?:sh|console|bash)\n(.*?)```", re.S)


def understood(argv: list[str]) -> str | None:
    """Say what is wrong with `trainstack ARGV`, or None where the command knows it."""
    command = typer.main.get_command(app)
    name = "trainstack"
    while hasattr(command, "commands"):
        if not argv or argv[0] == "--help":
            return None
        if argv[0] not in command.commands:  # type: ignore[attr-defined]
            return f"{name} has no verb {argv[0]!r}"
        command, name, argv = command.commands[argv[0]], argv[0], argv[1:]  # type: ignore[attr-defined]
    try:
        command.make_context(name, list(argv))
    except typer.Exit:
        return None  # --help
    except typer.TyperException as error:
        return f"{name}: {error.format_message()}"
    return None


def shell_lines(text: str) -> list[str]:
    """Return the lines of a Markdown text's shell blocks, continuations joined."""
    blocks = "\n".join(_FENCED.findall(text)).replace("\\\n", " ")
    lines = (line.strip().removeprefix("$ ") for line in blocks.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def our_commands(lines: list[str]) -> list[list[str]]:
    """Return the arguments of every `trainstack …` in some shell lines."""
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        for place, word in enumerate(words):
            if word == "trainstack" or word.endswith("/trainstack"):
                found.append(_until_pipe(words[place + 1 :]))
                break
    return found


def _until_pipe(words: list[str]) -> list[str]:
    ends = [k for k, word in enumerate(words) if word in ("|", "&&", ";", ">", "&")]
    return words[: ends[0]] if ends else words
