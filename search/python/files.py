"""A program's objects as files which the workers of this machine read.

Data, spaces and stacks are written into TRAINSTACK_HOME under names made of their contents: what
is launched again is the same file, and the study of that data is found again.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
import json
import os
import secrets
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from trainstack.search.json_values import json_safe
from trainstack.spaces.errors import RequestError
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

_EXPECTED = "a data frame, arrays as (x, y), a path, or the name of a data set"
# Name of the target of (frame, y) if y has none.
_TARGET = "target"


def data_file(data: Any, target: str | None = None) -> tuple[str, str | None]:
    """Return the name or path under which workers find data, and the column to predict.

    Args:
        data: A pandas data frame, whose index is left out; a pair of features and targets; a
            mapping of arrays named as in an `.npz` file (`x_train`, `y_train`, `x_valid`, …); a
            path or a name, which are returned as they are.
        target: The column to predict, for a frame.

    Raises:
        RequestError: The data is of another kind, or cannot be written.
    """
    import numpy as np
    import pandas as pd

    if isinstance(data, str | os.PathLike):
        return os.fspath(data), target
    if isinstance(data, pd.DataFrame):
        return str(keep(_parquet(data), "frame", ".parquet")), target
    if isinstance(data, tuple) and len(data) == 2:
        x, y = data
        if isinstance(x, pd.DataFrame):
            name = target or str(getattr(y, "name", None) or _TARGET)
            if name in x.columns:
                raise RequestError(f"the features have a column '{name}'", "the target besides")
            return data_file(x.assign(**{name: np.asarray(y)}), name)
        data = {"x_train": x, "y_train": y}
    if isinstance(data, Mapping):
        return str(keep(_npz(data), "arrays", ".npz")), target
    raise RequestError(f"data of type {type(data).__name__}", _EXPECTED)


def space_file(space: Any) -> str:
    """Return a name or path of a space: a `Space`, its document, a path or a name."""
    if isinstance(space, Mapping):
        space = Space.from_json(space)
    return _json(space, "space") if isinstance(space, Space) else os.fspath(space)


def stacks_file(stacks: Any) -> str:
    """Return the path of a list of stacks: of `Stack`s, documents and names, or a path."""
    if isinstance(stacks, Stack):
        stacks = [stacks]
    if isinstance(stacks, Sequence) and not isinstance(stacks, str):
        return _json(list(stacks), "stacks")
    return os.fspath(stacks)


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
    constant = isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
    if not (isinstance(statement, kinds) or constant):
        return None
    if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
        return None
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(each.lineno for each in decorators)]) - 1
    return "\n".join(text.splitlines()[first : statement.end_lineno])


def _parquet(frame: Any) -> bytes:
    """Return a frame as the bytes of a Parquet file."""
    import pandas as pd
    import pyarrow as pa

    plain = frame.reset_index(drop=True).rename(columns=str)
    for name, kind in plain.dtypes.items():
        if isinstance(kind, pd.CategoricalDtype):
            plain[name] = plain[name].astype(object)
    file = io.BytesIO()
    try:
        plain.to_parquet(file, index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise RequestError(
            f"the frame cannot be written as a table ({reason})",
            "columns of one type each, under different names",
        ) from None
    return file.getvalue()


def _npz(arrays: Mapping[str, Any]) -> bytes:
    """Return arrays as the bytes of an archive."""
    import numpy as np

    try:
        found = {str(name): np.asarray(value) for name, value in arrays.items()}
    except ValueError as error:
        raise RequestError(f"arrays that NumPy refuses ({error})", "arrays of numbers") from None
    for name, value in found.items():
        if value.dtype == object and name.startswith("y"):
            found[name] = value.astype(str)
        elif value.dtype == object:
            raise RequestError(f"{name} holds objects", "numbers; put texts into a data frame")
    file = io.BytesIO()
    np.savez(file, **found)  # type: ignore[arg-type]
    return file.getvalue()


def _json(document: Any, kind: str) -> str:
    text = json.dumps(json_safe(document), indent=1)
    return str(keep(text.encode(), kind, ".json"))


def keep(content: bytes, kind: str, suffix: str) -> Path:
    """Write a file named after its contents unless it is there; return its path.

    Raises:
        RequestError: It cannot be written.
    """
    from trainstack.search.database.connection import home

    digest = hashlib.blake2b(content, digest_size=6).hexdigest()
    path = home() / "given" / f"{kind}-{digest}{suffix}"
    if path.exists():
        return path
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(content)
        os.replace(new, path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise RequestError(f"cannot write {path} ({error.strerror})") from None
    return path
