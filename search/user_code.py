"""A user's Python file that travels with a study: read, run, and its errors in one line."""

from __future__ import annotations

import ast
import os
import traceback
from pathlib import Path
from types import ModuleType

from trainstack.spaces.errors import RequestError, nearest

_MOST_BYTES = 200_000


def read_code(flag: str, place: str) -> str:
    """Return the text of a user's file.

    Args:
        flag: Flag that names the file, for messages.
        place: Its path.

    Raises:
        RequestError: There is no such file, or it is too long or no text.
    """
    path = Path(os.path.expanduser(place))
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise RequestError(f"{flag}: {place} is long", f"at most {_MOST_BYTES:,} bytes")
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise RequestError(f"{flag}: there is no file {place}", "an existing file") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise RequestError(f"{flag}: {place} cannot be read ({reason})") from None


def line_of(flag: str, file: str, name: str, code: str) -> int:
    """Return the line in which a file's text defines a function, without running it.

    Raises:
        RequestError: It is no Python, or has no such function.
    """
    try:
        tree = ast.parse(code, file)
    except (SyntaxError, ValueError) as error:
        raise _no_python(flag, file, error) from None
    known = {each.name: each.lineno for each in tree.body if isinstance(each, ast.FunctionDef)}
    if name not in known:
        hint = nearest(name, [*known]) if known else ""
        raise RequestError(f"{flag}: {file} has no function {name}", hint=hint)
    return known[name]


def run_code(flag: str, file: str, code: str) -> ModuleType:
    """Run a file's text as a module.

    Raises:
        RequestError: It is no Python, or it raises.
    """
    module = ModuleType(file.removesuffix(".py"))
    try:
        exec(compile(code, file, "exec"), module.__dict__)
    except SyntaxError as error:
        raise _no_python(flag, file, error) from None
    except (Exception, SystemExit) as error:
        raise raised(flag, file, "the file", error) from None
    return module


def raised(flag: str, file: str, what: str, error: BaseException) -> RequestError:
    """Return the error of a user's code in one line, with its own line and message."""
    frames = traceback.extract_tb(error.__traceback__)
    line = next((f.lineno for f in reversed(frames) if f.filename == file), None)
    message = " ".join(str(error).split())[:200]
    return RequestError(
        f"{flag}: {what} raised {type(error).__name__}: {message} ({at_line(file, line)})"
    )


def at_line(file: str, line: int | None) -> str:
    """Return a place in a file in words."""
    return file if line is None else f"{file}, line {line}"


def _no_python(flag: str, file: str, error: Exception) -> RequestError:
    line, message = getattr(error, "lineno", None), getattr(error, "msg", str(error))
    return RequestError(f"{flag}: {at_line(file, line)}: {message}", "a Python file")
