"""A verb's options as keywords: they are derived from the command itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from numbers import Real  # NumPy's numbers, too
from pathlib import Path
from typing import Any

from trainstack.spaces.errors import RequestError, nearest

# Flags that say how the command prints, which a program does not need.
_PRINTED = ("json", "preview", "output")


def keywords(verb: str) -> dict[str, Any]:
    """Return the options of a verb, as the command declares them, by keyword.

    A keyword is the flag's name with underscores; a flag that has an opposite has two keywords.
    """
    from trainstack.search.cli.main import command

    return {
        name: option
        for option in command().commands[verb].params
        for flag in (*option.opts, *option.secondary_opts)
        if flag.startswith("--") and (name := flag[2:].replace("-", "_")) not in _PRINTED
    }


def as_words(verb: str, options: Mapping[str, Any]) -> list[str]:
    """Return keywords as the arguments of a verb.

    Args:
        verb: The verb.
        options: Keyword → value. None stands for the default, True and False for a flag without
            value, a list for a flag that is repeatable, a mapping for JSON, and a `timedelta`
            for a time.

    Raises:
        RequestError: A keyword is unknown, or its value is of another kind.
    """
    known = keywords(verb)
    words: list[str] = []
    for name, value in options.items():
        if name not in known:
            raise RequestError(f"{verb}() has no option '{name}'", hint=nearest(name, [*known]))
        if value is not None:
            words += _words(name, known[name], value)
    return words


def _words(name: str, option: Any, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if option.is_flag:
        if not isinstance(value, bool):
            raise RequestError(f"{name}={value!r}", "True or False")
        opposite = option.opts if flag in option.secondary_opts else option.secondary_opts
        return [flag] if value else list(opposite)
    if option.multiple:
        several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        return [f"{flag}={_text(name, one)}" for one in several]
    return [f"{flag}={_text(name, value)}"]


def _text(name: str, value: Any) -> str:
    """Return a value as a user would type it."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.15g}s"
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    if isinstance(value, str | Path | Real) and not isinstance(value, bool):
        return str(value)
    raise RequestError(f"{name}={value!r}", "a text or a number, as on the command line")
