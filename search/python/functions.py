"""A program's functions as files that workers read: `metric=` and `network=` of `launch`."""

from __future__ import annotations

import ast
import inspect
import math
import os
import symtable
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from trainstack.search.python.files import keep
from trainstack.spaces.errors import RequestError

_EXPECTED = "a plain function (`def`) of y_true, y_pred and weights, or a name"
_DIRECTION = "direction"


def metric_file(function: Any) -> str:
    """Return `FILE.py:FUNCTION` for a function, whose source is written into TRAINSTACK_HOME.

    The file also imports the modules, and holds the numbers and texts, that the function uses from
    where it was defined; and its attribute `direction`.

    Args:
        function: A function; a text is returned as it is.

    Raises:
        RequestError: It is no plain function, its source is not known, or it uses something else.
    """
    if isinstance(function, str):
        return function
    name = getattr(function, "__name__", type(function).__name__)
    if not isinstance(function, FunctionType) or not name.isidentifier():
        raise RequestError(f"metric: {name} is no plain function", _EXPECTED)
    try:
        code = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise RequestError(
            f"metric: the source of {name} is not known", _EXPECTED, "write it into a file"
        ) from None
    decorated = hasattr(function, "__wrapped__") or not code.startswith("def ")
    if decorated or function.__closure__:
        raise RequestError(
            f"metric: {name} has a decorator, or uses names of a function around it", _EXPECTED
        )
    lines = ["from __future__ import annotations"]
    lines += [_given(name, used, function.__globals__) for used in _used(code, function)]
    direction = getattr(function, _DIRECTION, None)
    after = "" if direction is None else f"\n\n{name}.{_DIRECTION} = {direction!r}\n"
    text = "\n".join(lines) + f"\n\n\n{code}{after}"
    return f"{keep(text.encode(), name, '.py')}:{name}"


def _used(code: str, function: FunctionType) -> list[str]:
    """Return the names that a function uses from its module, sorted."""
    known = function.__globals__.keys() - {function.__name__}
    return sorted(set(_globals(symtable.symtable(code, "metric", "exec"))) & known)


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _globals(inner)


def _given(function: str, name: str, values: dict[str, Any]) -> str:
    """Return the line that gives a name its value in the file."""
    value = values[name]
    if isinstance(value, ModuleType) and value.__name__ != "__main__":
        return f"import {value.__name__} as {name}"
    if (plain := _plain(value)) is not None:
        return f"{name} = {plain}"
    module, own = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if module not in (None, "__main__", values.get("__name__")) and own.isidentifier():
        return f"from {module} import {own} as {name}"
    raise RequestError(
        f"metric: {function} uses '{name}', which is of this program",
        "modules, numbers and texts",
        "define it inside of the function, or write a file and give metric='FILE.py:FUNCTION'",
    )


def _plain(value: Any) -> str | None:
    """Return the expression of a number, a text or None; None for anything else.

    >>> import numpy as np
    >>> _plain(np.float64(0.5)), _plain(float("-inf")), _plain(True), _plain("a"), _plain([])
    ('0.5', "float('-inf')", 'True', "'a'", None)
    """
    if isinstance(value, float):  # NumPy's as well, whose own expression needs its module
        return repr(float(value)) if math.isfinite(value) else f"float({str(float(value))!r})"
    return repr(value) if type(value) in (bool, int, str, type(None)) else None


def network_file(network: Any) -> str:
    """Return `FILE.py:FUNCTION` of a network: of a function, or as it is.

    The file holds the imports, functions, classes and constants of the function's module, or of a
    notebook the function alone, and `import keras`. Other statements are left out: workers must not
    repeat them.

    Raises:
        RequestError: The function has no source that can be read.
    """
    if isinstance(network, str | os.PathLike):
        return os.fspath(network)
    try:
        name, source = network.__name__, textwrap.dedent(inspect.getsource(network))
        module = inspect.getsourcefile(network) or ""
        kept = [source]
        if module.endswith(".py") and Path(module).is_file():
            text = Path(module).read_text("utf-8")
            kept = [part for part in map(partial(_definition, text), ast.parse(text).body) if part]
            if not any(source.strip() in part for part in kept):
                kept.append(source)
    except (AttributeError, OSError, TypeError, SyntaxError) as error:
        raise RequestError(
            f"network={network!r}: its source cannot be read ({error})", "a function of a file"
        ) from None
    code = "\n\n".join(["import keras", *kept]) + "\n"
    return f"{keep(code.encode(), 'network', '.py')}:{name}"


def _definition(text: str, statement: ast.stmt) -> str | None:
    """Return a statement's text if it defines something; None for what a program does."""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    if not (isinstance(statement, kinds) or _is_constant(statement)):
        return None
    if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
        return None
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(each.lineno for each in decorators)]) - 1
    return "\n".join(text.splitlines()[first : statement.end_lineno])


def _is_constant(statement: ast.stmt) -> bool:
    """Tell whether a statement names a value that is written out, such as `SIZES = (8, -1)`."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return False
    try:
        ast.literal_eval(statement.value)
    except ValueError:
        return False
    return True
