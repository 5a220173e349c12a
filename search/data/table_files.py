"""A table in one file, or with validation and test rows in files of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainstack.search.data.column_names import shown
from trainstack.search.data.table_formats import FORMATS, TableFormat
from trainstack.spaces.errors import RequestError


@dataclass(frozen=True)
class TableFiles:
    """The files of a table.

    Attributes:
        paths: Part → its file; `train` comes first.
        table: Their format.
    """

    paths: Mapping[str, Path]
    table: TableFormat

    @classmethod
    def of(cls, path: Path, others: Mapping[str, Path]) -> TableFiles:
        """Return the files of a table.

        Args:
            path: The file of all rows that are in no other.
            others: Part → its file, for `valid` and `test` where they are given.

        Raises:
            RequestError: A file has another format, or is given twice.
        """
        seen = [path]
        for part, other in others.items():
            if other.suffix.lower() != path.suffix.lower():
                raise RequestError(
                    f"--{part} {other.name} for {path.name}",
                    f"a {path.suffix.lower()} file",
                )
            if any(other.samefile(earlier) for earlier in seen):
                raise RequestError(f"--{part} {other.name} is given twice", "another file")
            seen.append(other)
        return cls({"train": path, **others}, FORMATS[path.suffix.lower()])

    @property
    def name(self) -> str:
        """Name of the first file."""
        return self.paths["train"].name

    def outline(self) -> tuple[int, list[str]]:
        """Return the rows, perhaps an estimate, and the columns, from a few bytes of each file.

        Raises:
            RequestError: A file has other columns than the first.
        """
        rows, names = self.table.outline(self.paths["train"])
        for part, path in self.paths.items():
            if part == "train":
                continue
            more, other = self.table.outline(path)
            rows += more
            self._check_columns(path, names, other)
        return rows, names

    def _check_columns(self, path: Path, names: Sequence[str], other: Sequence[str]) -> None:
        differences = [
            f"{verb} {', '.join(map(shown, found[:3]))}{' …' if len(found) > 3 else ''}"
            for verb, found in (
                ("lacks", [name for name in names if name not in other]),
                ("also has", [name for name in other if name not in names]),
            )
            if found
        ]
        if differences:
            raise RequestError(
                f"{path.name} has other columns than {self.name}: it {' and '.join(differences)}",
                "the same columns in both",
            )

    def read(self) -> tuple[Any, np.ndarray | None, Callable[[int], str]]:
        """Return the rows of all files, each row's part if there are several, and their places.

        Returns:
            The frame, its rows numbered from 0; the parts [N], or None for a single file; a
            function that describes the position of a row.

        Raises:
            RequestError: A file cannot be read.
        """
        import pandas as pd

        frames = [self.table.read(path) for path in self.paths.values()]
        if len(frames) == 1:
            return frames[0], None, lambda row: self.table.place(self.paths["train"], row)
        parts = np.repeat([*self.paths], [len(frame) for frame in frames])
        ends = np.cumsum([len(frame) for frame in frames])

        def place(row: int) -> str:
            k = int(np.searchsorted(ends, row, side="right"))
            path = [*self.paths.values()][k]
            here = row - (int(ends[k - 1]) if k else 0)
            return f"{self.table.place(path, here)} of {path.name}"

        return pd.concat(frames, ignore_index=True), parts, place

    def notes(self) -> list[str]:
        """Return notes on how the files are read."""
        return [note for path in self.paths.values() for note in self.table.notes(path)]

    def python(self) -> tuple[str, ...]:
        """Return lines of Python that define `frame` and, for several files, `part`."""
        if len(self.paths) == 1:
            return (f"frame = {self.table.python(self.paths['train'])}",)
        return (
            "frames = [",
            *(f"    {self.table.python(path)}," for path in self.paths.values()),
            "]",
            f"part = np.repeat({[*self.paths]!r}, [len(f) for f in frames])",
            "frame = pd.concat(frames, ignore_index=True)",
            "part = pd.Series(part, index=frame.index)",
        )
