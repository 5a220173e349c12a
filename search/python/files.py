"""A program's objects as files which the workers of this machine read.

Data, spaces and stacks are written into TRAINSTACK_HOME under names made of their contents: what
is launched again is the same file, and the study of that data is found again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.json_values import json_safe
from trainstack.spaces.errors import RequestError
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

if TYPE_CHECKING:
    import numpy as np

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
        if data.columns.nlevels > 1:
            raise RequestError(
                f"the frame's columns have names of {data.columns.nlevels} levels",
                "one name for each column",
                "frame.columns = frame.columns.map('_'.join)",
            )
        return str(keep(_parquet(data), "frame", ".parquet")), target
    if isinstance(data, tuple) and len(data) == 2:
        x, y = data
        if isinstance(x, pd.DataFrame):
            name = target or str(getattr(y, "name", None) or _TARGET)
            if name in x.columns:
                raise RequestError(f"the features have a column '{name}'", "the target besides")
            return data_file(x.assign(**{name: _beside(x, np.asarray(y))}), name)
        data = {"x_train": x, "y_train": y}
    if isinstance(data, Mapping):
        return str(keep(_npz(data), "arrays", ".npz")), target
    raise RequestError(f"data of type {type(data).__name__}", _EXPECTED)


def _beside(x: Any, y: np.ndarray) -> np.ndarray:
    """Return a target [N] as a column of the features' frame."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise RequestError(
            f"a target of shape {y.shape} beside a frame",
            "one value per row",
            "put several targets into the frame and name them: target=[…]",
        )
    if len(y) != len(x):
        raise RequestError(
            f"{len(x)} rows of features and {len(y)} of the target", "as many of both"
        )
    return y


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


def _parquet(frame: Any) -> bytes:
    """Return a frame as the bytes of a Parquet file."""
    import pandas as pd
    import pyarrow as pa

    plain = frame.reset_index(drop=True).rename(columns=str)
    for name, kind in plain.dtypes.items():
        if isinstance(kind, pd.CategoricalDtype):
            cells = plain[name].astype(object)
            bins = isinstance(kind.categories.dtype, pd.IntervalDtype)  # as of pandas.cut
            plain[name] = cells.map(str, na_action="ignore") if bins else cells
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
        found = {str(name): _numbers_or_texts(str(name), value) for name, value in arrays.items()}
    except ValueError as error:
        raise RequestError(f"arrays that NumPy refuses ({error})", "arrays of numbers") from None
    file = io.BytesIO()
    np.savez(file, **found)  # type: ignore[arg-type]
    return file.getvalue()


def _numbers_or_texts(name: str, value: Any) -> Any:
    """Return an array of numbers, or for targets of texts."""
    import numpy as np
    import pandas as pd

    found = np.asarray(value)
    if found.dtype != object:
        return found
    if not name.startswith("y"):
        raise RequestError(f"{name} holds objects", "numbers; put texts into a data frame")
    if missing := int(np.sum(pd.isna(found))):
        raise RequestError(
            f"{name} holds {missing} missing value(s)",
            "a target for each row",
            "leave those rows out",
        )
    return np.asarray(found.tolist())


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
