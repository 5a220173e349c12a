"""The table of table formats: each reads the outline without loading, and the whole table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.data.csv_layout import (
    check_names,
    layout_of,
    line_of,
    notes_on,
    python_of,
    read_csv,
)
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TableFormat:
    """One file format.

    Attributes:
        outline: Returns (rows, column names) from a few bytes; rows may be an estimate.
        read: Returns the frame.
        python: Returns the Python expression that reads the same.
        place: Returns the position in the file of a row of the frame, counted from 0.
        notes: Returns notes for the user on how the file is read.
        typed: Whether the format has numeric columns.
    """

    outline: Callable[[Path], tuple[int, list[str]]]
    read: Callable[[Path], pd.DataFrame]
    python: Callable[[Path], str]
    place: Callable[[Path, int], str]
    notes: Callable[[Path], tuple[str, ...]] = lambda _: ()
    typed: bool = False


def _outline_csv(path: Path) -> tuple[int, list[str]]:
    layout = layout_of(path)
    return layout.rows, list(layout.names)


def index_of(schema: Any) -> list[str]:
    """Return the columns of an Arrow schema in which pandas keeps the rows' index."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in index if isinstance(name, str)]


def _outline_parquet(path: Path) -> tuple[int, list[str]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        rows, index = file.metadata.num_rows, index_of(file.schema_arrow)
        names = [str(name) for name in file.schema_arrow.names if name not in index]
    except (pyarrow.ArrowException, OSError):
        raise RequestError(f"{path} is not a Parquet file", "what pandas' to_parquet writes") from (
            None
        )
    check_names(names, str(path))
    return rows, names


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow

    try:
        frame = pd.read_parquet(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RequestError(f"{path} is damaged ({reason})", hint="write it again") from None
    frame.columns = frame.columns.map(str)
    return frame.reset_index(drop=True)


_CSV = TableFormat(_outline_csv, read_csv, python_of, line_of, notes_on)
# The delimiter is read from the file, whatever its name.
FORMATS = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), _CSV),
    ".parquet": TableFormat(
        _outline_parquet,
        _read_parquet,
        lambda path: f"pd.read_parquet({str(path)!r}).reset_index(drop=True)",
        lambda path, row: f"row {row}, counted from 0",
        typed=True,
    ),
}
