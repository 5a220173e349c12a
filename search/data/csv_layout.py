"""The layout of CSV files: detection of encoding and delimiter, and a check of every row."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.data.column_names import plain, shown
from trainstack.search.data.csv_header import UNNAMED, check_header
from trainstack.search.data.text_encoding import encoding_of
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

_PROBE_BYTES = 1 << 20
_PROBE_ROWS = 1000
# What Excel reads, and no other program: the delimiter in a line of its own.
_SEPARATOR_LINE = re.compile(r"sep=.?\s*[\r\n]", re.I)
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Layout:
    """The layout read from the beginning of a file.

    Attributes:
        encoding: Name of the encoding, as Python knows it.
        delimiter: The delimiter of columns.
        names: Names of the columns; unnamed ones are numbered as in pandas.
        rows: Number of rows, estimated from the first megabyte.
    """

    encoding: str
    delimiter: str
    names: tuple[str, ...]
    rows: int


def layout_of(path: Path) -> Layout:
    """Return the layout that the first rows agree on.

    Raises:
        RequestError: The file is not CSV, two delimiters fit, or a name occurs twice.
    """
    about = path.stat()
    return _layout_of(path, about.st_size, about.st_mtime_ns)


# Detecting the encoding reads the whole file, and a load asks four times.
@functools.lru_cache(maxsize=8)
def _layout_of(path: Path, size: int, changed_at: int) -> Layout:
    """Return the layout of a file of this size in bytes, changed at this time in nanoseconds."""
    with path.open("rb") as file:
        probe = file.read(_PROBE_BYTES)
    encoding = encoding_of(path)
    binary = b"\0" in probe and not encoding.startswith("utf-16")
    if binary or probe[:4] in (b"PAR1", b"PK\3\4") or probe[:2] == b"\x1f\x8b":
        raise RequestError(f"{path} is not a CSV file", "text, columns separated by commas")
    # The end of the probe may cut a character in two.
    text = probe.decode(encoding, errors="ignore")
    if _SEPARATOR_LINE.match(text):
        raise RequestError(
            f"the first line of {path} is for Excel ({text.split()[0]})",
            "a first line of column names",
            "delete that line",
        )
    whole = len(probe) < _PROBE_BYTES
    first = {mark: _first_rows(text, mark, whole, path) for mark in _DELIMITERS}
    several = [mark for mark, rows in first.items() if rows and len(rows[0]) > 1]
    fitting = [mark for mark in several if all(_fits(r, len(first[mark][0])) for r in first[mark])]
    if len(fitting) > 1:
        marks = " or by ".join(_DELIMITERS[mark] for mark in fitting)
        raise RequestError(
            f"the columns of {path} could be separated by {marks}",
            "one of them only",
            "write it with commas, and texts that hold a comma in double quotes",
        )
    delimiter = [*fitting, *several, ","][0]
    header = next(iter(first[delimiter]), [])
    if not header:
        raise RequestError(f"{path} is empty", "a line of column names, then rows")
    names = tuple(name or f"{UNNAMED}{place}" for place, name in enumerate(header))
    check_names(names, str(path))
    lines = max(1, probe.count(b"\n"), probe.count(b"\r"))
    return Layout(encoding, delimiter, names, round(size / len(probe) * lines))


def check_names(names: Sequence[str], file: str) -> None:
    """Reject duplicate column names; runs of blanks count as one.

    Raises:
        RequestError: Two columns share a name.
    """
    same = [plain(name) for name in names]
    twice = next((name for name in same if same.count(name) > 1), None)
    if twice is not None:
        raise RequestError(
            f"{file} has {same.count(twice)} columns named {shown(twice)}",
            "column names that differ, in the first line",
            "rename or drop one",
        )


def read_csv(path: Path) -> pd.DataFrame:
    """Return every cell as the text in the file.

    Raises:
        RequestError: A row has more or fewer cells than the header, the file has no header, or
            it is not text.
    """
    import pandas as pd

    layout = layout_of(path)
    with _refusing(path):
        rows = _check_rows(path, layout)
        frame = _pandas_reads(path, layout)
    _check_count(path, rows, len(frame))
    frame.columns = pd.Index(layout.names)
    check_header(frame, str(path))
    return frame


def csv_chunks(path: Path, most: int) -> Iterator[pd.DataFrame]:
    """Yield at most `most` rows at a time, every cell as the text in the file.

    All lines are checked first. The index counts the file's rows from 0.

    Raises:
        RequestError: As in `read_csv`, but for the header.
    """
    import pandas as pd

    layout, read = layout_of(path), 0
    with _refusing(path):
        rows = _check_rows(path, layout)
        with _pandas_reads(path, layout, chunksize=most) as chunks:
            for frame in chunks:
                read += len(frame)
                frame.columns = pd.Index(layout.names)
                yield frame
    _check_count(path, rows, read)


def _pandas_reads(path: Path, layout: Layout, **more: Any) -> Any:
    import pandas as pd

    return pd.read_csv(
        path,
        sep=layout.delimiter,
        dtype=str,
        keep_default_na=False,
        encoding=layout.encoding,
        index_col=False,
        usecols=range(len(layout.names)),
        **more,
    )


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn the errors of reading a CSV file into one line."""
    import pandas as pd

    try:
        yield
    except UnicodeDecodeError:
        raise RequestError(
            f"{path} is neither UTF-8 nor Western European text", "UTF-8", "save it as UTF-8"
        ) from None
    except pd.errors.EmptyDataError:
        raise RequestError(f"{path} is empty", "a line of column names, then rows") from None
    except (pd.errors.ParserError, csv.Error, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RequestError(f"{path} cannot be read as CSV ({reason})") from None


def _check_count(path: Path, rows: int, read: int) -> None:
    if read != rows:
        raise RequestError(
            f"{path} has {rows} or {read} rows, depending on its quotes",
            "balanced quotes",
            "write it again with a program that quotes texts",
        )


def python_of(path: Path) -> str:
    """Return the Python expression that reads the same texts."""
    layout = layout_of(path)
    return (
        f"pd.read_csv({str(path)!r}, sep={layout.delimiter!r}, dtype=str, keep_default_na=False, "
        f"encoding={layout.encoding!r}, index_col=False, usecols=range({len(layout.names)}))"
    )


def notes_on(path: Path) -> tuple[str, ...]:
    """Return a note if a file's encoding is a guess."""
    if layout_of(path).encoding != "cp1252":
        return ()
    return (f"{path.name} is not UTF-8: its text is read as Western European (Windows-1252).",)


def line_of(path: Path, row: int) -> str:
    """Return the line in the file of a row, counted from 0."""
    rows = _rows(path, layout_of(path))  # the header comes first
    return next((f"line {begun}" for place, (begun, _) in enumerate(rows, -1) if place == row), "")


def _first_rows(text: str, delimiter: str, whole: bool, path: Path) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if not _blank(row):
                rows.append(row)
            if len(rows) > _PROBE_ROWS:
                break
    except csv.Error as error:
        if not rows:
            raise RequestError(
                f"the first line of {path} is not CSV ({error})", "column names"
            ) from None
    return rows if whole or len(rows) < 2 else rows[:-1]


def _blank(row: Sequence[str]) -> bool:
    return not row or (len(row) == 1 and not row[0].strip())


def _fits(row: Sequence[str], count: int) -> bool:
    """Tell whether a row has all cells; further empty ones come from trailing delimiters."""
    return len(row) >= count and not any(row[count:])


def _check_rows(path: Path, layout: Layout) -> int:
    """Return the number of rows after checking that each has as many cells as the header."""
    count, rows, usual = len(layout.names), -1, 0
    for begun, row in _rows(path, layout):
        rows += 1
        if rows == 1:
            usual = len(row)
        # If only some rows end in delimiters, an unquoted comma may have shifted their cells.
        if not _fits(row, count) or (rows > 1 and len(row) != usual):
            others = f"the lines before it {usual}" if _fits(row, count) else f"the header {count}"
            raise RequestError(
                f"line {begun} of {path} has {len(row)} cells and {others}",
                "the same number in every line",
                f"correct it, or put texts that hold a {layout.delimiter!r} in double quotes",
            )
    return rows


def _rows(path: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield each non-blank row with the number of its first line."""
    with path.open(encoding=layout.encoding, newline="") as file:
        reader, begun = csv.reader(file, delimiter=layout.delimiter), 1
        for row in reader:
            if not _blank(row):
                yield begun, row
            begun = reader.line_num + 1
