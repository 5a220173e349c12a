"""New rows of a table, read some at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.data.column_names import find, plain, shown
from trainstack.search.data.csv_layout import csv_chunks
from trainstack.search.data.model_description import ModelDescription
from trainstack.search.data.table_formats import FORMATS, index_of
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

# Rows that are read, predicted and written at a time.
CHUNK_ROWS = 16_384
_NAMED = 8


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some rows.

    Attributes:
        first: Position of the first row in the file.
        cells: The columns that the model needs, and those of target and weight where they are, by
            the names of training, [N, C].
        index: The rows' index in a Parquet file that has one; else None.
    """

    first: int
    cells: pd.DataFrame
    index: Any = None


@dataclass(frozen=True, eq=False)
class NewTable:
    """A table whose rows are to be predicted.

    Attributes:
        path: The `.csv` or `.parquet` file.
        model: The model.
    """

    path: Path
    model: ModelDescription

    @cached_property
    def _outline(self) -> tuple[int, list[str]]:
        return FORMATS[self.path.suffix.lower()].outline(self.path)

    @cached_property
    def names(self) -> dict[str, str]:
        """The file's column for each column of training that it has and that is read."""
        model, (_, there) = self.model, self._outline
        wanted = (*model.needed, *model.target_columns, *([model.weight] if model.weight else []))
        found = {name: find(name, there) for name in wanted}
        return {name: column for name, column in found.items() if column is not None}

    def check(self, evaluate: bool) -> None:
        """Reject a table without a column that is needed.

        Args:
            evaluate: Whether the target is needed.

        Raises:
            RequestError: The columns that it lacks.
        """
        targets = self.model.target_columns if evaluate else ()
        lacking = [name for name in (*self.model.needed, *targets) if name not in self.names]
        if lacking:
            raise RequestError(
                f"{self.path.name} lacks the column(s) {_list(lacking)}",
                "the columns of training",
                "--evaluate needs the target" if {*lacking} <= {*targets} else "",
            )

    def notes(self) -> list[str]:
        """Return a sentence on columns that training did not have, if there are any."""
        known = {*map(plain, (*self.names.values(), *self.model.left_out))}
        others = [name for name in self._outline[1] if plain(name) not in known]
        return [f"Column(s) {_list(others)} are ignored: training had none."] if others else []

    def chunks(self, most: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows in their order, at most `most` at a time.

        Raises:
            RequestError: The file cannot be read, or has no rows.
        """
        first = 0
        typed = FORMATS[self.path.suffix.lower()].typed
        read = self._parquet_chunks if typed else csv_chunks
        for frame in read(self.path, most):
            if not len(frame):
                continue
            cells: Any = frame[[*self.names.values()]]
            cells.columns = [*self.names]
            index = frame.index if read is not csv_chunks and _is_own(frame) else None
            yield Chunk(first, cells.reset_index(drop=True), index)
            first += len(frame)
        if not first:
            raise RequestError(f"{self.path.name} has no rows", "rows to predict")

    def _parquet_chunks(self, path: Path, most: int) -> Iterator[pd.DataFrame]:
        import pyarrow
        import pyarrow.parquet

        try:
            file = pyarrow.parquet.ParquetFile(path)
            columns = [*dict.fromkeys([*self.names.values(), *index_of(file.schema_arrow)])]
            for batch in file.iter_batches(most, columns=columns):
                frame = pyarrow.Table.from_batches([batch]).to_pandas()
                frame.columns = frame.columns.map(str)
                yield frame
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise RequestError(f"{path} is damaged ({reason})", hint="write it again") from None

    def place(self, first: int) -> Callable[[int], str]:
        """Return a function that describes a row by its position after the row `first`."""
        where = FORMATS[self.path.suffix.lower()].place
        return lambda row: f"{where(self.path, first + row)} of {self.path.name}"


def _is_own(frame: pd.DataFrame) -> bool:
    """Return whether a frame has an index other than the rows' numbers."""
    import pandas as pd

    return not isinstance(frame.index, pd.RangeIndex)


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(shown, names[:_NAMED])) + more
