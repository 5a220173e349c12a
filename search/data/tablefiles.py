"""The table of table formats: each tells its outline without loading, and reads itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spaces.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

_PROBE_BYTES = 1 << 20


@dataclass(frozen=True)
class TableFormat:
    """One file format.

    Attributes:
        outline: Returns (rows, column names) from a few bytes; rows may be an estimate.
        read: Returns the frame.
        python: The Python expression that reads the same; `{path}` is the file's path.
    """

    outline: Callable[[Path], tuple[int, list[str]]]
    read: Callable[[Path], pd.DataFrame]
    python: str


def _outline_csv(path: Path) -> tuple[int, list[str]]:
    """Return the number of rows, estimated from the first megabyte, and the column names."""
    import csv

    with path.open("rb") as file:
        probe = file.read(_PROBE_BYTES)
    if b"\0" in probe or probe[:4] in (b"PAR1", b"PK\3\4") or probe[:2] == b"\x1f\x8b":
        raise _not_csv(path)
    # A character cut in two by the end of the probe is no fault.
    text = probe.decode("utf-8-sig", errors="ignore")
    try:
        names = next(csv.reader(text.splitlines()), [])
    except csv.Error as error:
        raise RequestError(f"the first line of {path} is not CSV ({error})", "column names") from (
            None
        )
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise RequestError(
            f"{path} separates its columns with '{';' if ';' in names[0] else 'a tab'}'", "commas"
        )
    lines = max(1, probe.count(b"\n"))
    return round(path.stat().st_size / len(probe) * lines), names


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path, encoding="utf-8-sig", low_memory=False)
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not UTF-8 text", "UTF-8", "save it as UTF-8") from None
    except pd.errors.EmptyDataError:
        raise RequestError(f"{path} is empty", "a line of column names, then rows") from None
    except (pd.errors.ParserError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RequestError(f"{path} cannot be read as CSV ({reason})") from None


def _outline_parquet(path: Path) -> tuple[int, list[str]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        return file.metadata.num_rows, list(map(str, file.schema_arrow.names))
    except (pyarrow.ArrowException, OSError):
        raise RequestError(f"{path} is not a Parquet file", "what pandas' to_parquet writes") from (
            None
        )


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow

    try:
        return pd.read_parquet(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RequestError(f"{path} is damaged ({reason})", mend="write it again") from None


def _not_csv(path: Path) -> RequestError:
    return RequestError(f"{path} is not a CSV file", "text in UTF-8, columns parted by commas")


FORMATS = {
    ".csv": TableFormat(
        _outline_csv,
        _read_csv,
        'pd.read_csv({path!r}, encoding="utf-8-sig", low_memory=False)',
    ),
    ".parquet": TableFormat(_outline_parquet, _read_parquet, "pd.read_parquet({path!r})"),
}
