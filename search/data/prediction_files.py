"""Predictions written some rows at a time: CSV, Parquet, or records."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from trainstack.spaces.errors import RequestError

ENDINGS = (".csv", ".parquet")


class Writer(Protocol):
    """Takes the columns of some rows [N], and their index or None."""

    def __call__(self, columns: Mapping[str, np.ndarray], index: Any) -> None: ...


def check_output(path: Path) -> None:
    """Reject a file of another format.

    Raises:
        RequestError: It ends neither in .csv nor in .parquet.
    """
    if path.suffix.lower() not in ENDINGS:
        raise RequestError(f"-o {path}", "a file that ends in " + " or ".join(ENDINGS))


def csv_text(columns: Mapping[str, np.ndarray], index: Any, header: bool) -> str:
    """Return the lines of some rows."""
    import pandas as pd

    frame = pd.DataFrame(columns, index=index)
    named = index is not None
    label = [name or f"index{k or ''}" for k, name in enumerate(frame.index.names)]
    text = frame.to_csv(index=named, header=header, index_label=label, lineterminator="\n")
    assert text is not None
    return text


def records(columns: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return one object for each row, of plain numbers and texts."""
    plain = [values.tolist() for values in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*plain, strict=True)]


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Yield a function that appends rows to a file, which appears when all are written.

    Raises:
        RequestError: It cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    is_csv = path.suffix.lower() == ".csv"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            opened.callback(part.unlink, missing_ok=True)
            with _csv(part) if is_csv else _parquet(part) as append:
                yield append
            os.replace(part, path)
    except OSError as error:
        raise RequestError(f"cannot write {path} ({error.strerror or error})") from None


@contextlib.contextmanager
def _csv(path: Path) -> Iterator[Writer]:
    with path.open("w", encoding="utf-8", newline="") as file:

        def append(columns: Mapping[str, np.ndarray], index: Any) -> None:
            file.write(csv_text(columns, index, header=file.tell() == 0))

        yield append


@contextlib.contextmanager
def _parquet(path: Path) -> Iterator[Writer]:
    import pandas as pd
    import pyarrow
    import pyarrow.parquet

    with contextlib.ExitStack() as opened:
        writers: list[Any] = []

        def append(columns: Mapping[str, np.ndarray], index: Any) -> None:
            frame = pd.DataFrame(columns, index=index)
            table = pyarrow.Table.from_pandas(frame, preserve_index=index is not None)
            if index is None:
                table = table.replace_schema_metadata(None)
            if not writers:
                new = pyarrow.parquet.ParquetWriter(path, table.schema)
                writers.append(opened.enter_context(new))
            writers[0].write_table(table.cast(writers[0].schema))

        yield append
