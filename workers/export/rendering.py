"""From templates and values to formatted programs."""

from __future__ import annotations

import functools
import inspect
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from ruff import find_ruff_bin

_TEMPLATES = Path(__file__).with_name("templates")
# Sort the imports and remove the unused ones; then format, joining whatever fits into a line.
_PASSES = (
    ("check", "--fix", "--select=I,F401"),
    ("format", "--config=format.skip-magic-trailing-comma=true"),
)


def render(template: str, **values: Any) -> str:
    """Return the program that a template gives.

    Args:
        template: Name of a file in `templates/`. Beside Jinja's own filters it may use `repr`, and
            `source` for a function that the program includes.
        values: The template's variables.

    Returns:
        The program's text, formatted by ruff.

    Raises:
        subprocess.CalledProcessError: The template gives no valid program.
    """
    text = rendered(template, **values)
    for arguments in _PASSES:
        # ruff takes packages in its working directory for the program's own, so it runs here.
        text = subprocess.run(
            [find_ruff_bin(), *arguments, "--isolated", "--no-cache", "--line-length=100", "-"],
            input=text,
            cwd=_TEMPLATES,
            encoding="utf-8",
            capture_output=True,
            check=True,
        ).stdout
    return text


def rendered(template: str, **values: Any) -> str:
    """Return what a template gives, for a part of a program; arguments are those of `render`."""
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> Environment:
    """Return the templates' environment, which keeps them compiled."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"repr": repr, "source": _source}
    return environment


def _source(function: Callable[..., Any]) -> str:
    """Return a function's source without its annotations, which need imports."""
    signature = inspect.signature(function)
    bare = signature.replace(
        parameters=[p.replace(annotation=p.empty) for p in signature.parameters.values()],
        return_annotation=signature.empty,
    )
    _, body = re.split(r"\)(?: -> .+)?:\n", inspect.getsource(function), maxsplit=1)
    return f"def {function.__name__}{bare}:\n{body}"
