"""A program's function as a file that workers read: `metric=` of `launch`."""

from __future__ import annotations

import inspect
import symtable
import textwrap
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from trainstack.search.python.files import keep
from trainstack.spaces.errors import RequestError

_EXPECTED = "a plain function (`def`) of y_true, y_pred and weights, or a name"
# Values that a function may use from its module, written as they are.
_PLAIN = (bool, int, float, str, type(None))
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
    if isinstance(value, _PLAIN):
        return f"{name} = {value!r}"
    module, own = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if module not in (None, "__main__", values.get("__name__")) and own.isidentifier():
        return f"from {module} import {own} as {name}"
    raise RequestError(
        f"metric: {function} uses '{name}', which is of this program",
        "modules, numbers and texts",
        "define it inside of the function, or write a file and give metric='FILE.py:FUNCTION'",
    )
