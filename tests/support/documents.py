"""Parsing command lines as the command does, without running them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer

from trainstack.search.cli.main import app

ROOT = Path(__file__).parents[2]
_SCRIPTS = re.compile(r"^```(?:sh|bash)\n(.*?)^```", re.S | re.M)
_SESSIONS = re.compile(r"^```console\n(.*?)^```", re.S | re.M)
_PROGRAMS = re.compile(r"^```python\n(.*?)^```", re.S | re.M)


@cache
def _verbs() -> Any:
    """Return the command with its verbs."""
    return typer.main.get_command(app)


def understood(argv: list[str]) -> str | None:
    """Return the problem of `trainstack ARGV`, or None if the command accepts it."""
    command, name = _verbs(), "trainstack"
    while hasattr(command, "commands"):
        if not argv or argv[0] == "--help":
            return None
        if argv[0] not in command.commands:
            return f"{name} has no verb {argv[0]!r}"
        command, name, argv = command.commands[argv[0]], argv[0], argv[1:]
    try:
        command.make_context(name, list(argv))
    except typer.Exit:
        return None  # --help
    except typer.TyperException as error:
        return f"{name}: {error.format_message()}"
    return None


@dataclass(frozen=True)
class Example:
    """A command of a terminal session shown on a page.

    Attributes:
        command: What was typed, as the shell reads it; may have several lines.
        output: The lines that the page shows below it; empty where it shows none.
    """

    command: str
    output: tuple[str, ...]


def examples(text: str) -> list[Example]:
    """Return the commands of a Markdown text's `console` blocks.

    A command begins with `$ `; following lines that begin with `> ` continue it, the rest is its
    output.
    """
    found = []
    for block in _SESSIONS.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            first, *lines = part.splitlines()
            typed = [first]
            while lines and lines[0].startswith("> "):
                typed.append(lines.pop(0).removeprefix("> "))
            found.append(Example("\n".join(typed), tuple(lines)))
    return found


def program(text: str) -> str:
    """Return a Markdown text's Python blocks as one program."""
    return "\n".join(_PROGRAMS.findall(text))


def first_program(text: str) -> str:
    """Return a Markdown text's first Python block."""
    return _PROGRAMS.findall(text)[0]


def shell_lines(text: str) -> list[str]:
    """Return the commands of a Markdown text's shell blocks, continuations joined."""
    scripts = "\n".join(_SCRIPTS.findall(text)).replace("\\\n", " ")
    lines = (line.strip() for line in scripts.splitlines())
    typed = (example.command.replace("\\\n", " ") for example in examples(text))
    return [line for line in (*lines, *typed) if line and not line.startswith("#")]


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
