"""Cells of new rows as a model's inputs, read in the formats of training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.data.column_checks import check_numbers
from trainstack.search.data.column_names import shown
from trainstack.search.data.columns import MISSING, as_text
from trainstack.search.data.model_description import ModelDescription
from trainstack.search.data.model_inputs import is_text
from trainstack.search.data.spelling import MISSING_WORDS, Spelling
from trainstack.search.data.text_values import to_number
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

_PLAIN = Spelling("number")


@dataclass
class Unusual:
    """Counts of values that training did not know.

    Attributes:
        gaps: Missing values by column, where training had none.
        unknown: Unknown categories by column.
        first: The first unknown category of each column.
    """

    gaps: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def notes(self) -> list[str]:
        """Return one sentence for each column."""
        return [
            *(
                f"Column {shown(name)}: the median fills {count} gap(s); training had none."
                for name, count in self.gaps.items()
            ),
            *(
                f"Column {shown(name)}: {count} value(s) unknown in training, such as "
                f"'{self.first[name]}'."
                for name, count in self.unknown.items()
            ),
        ]


def inputs_of(
    cells: pd.DataFrame,
    model: ModelDescription,
    place: Callable[[int], str],
    unusual: Unusual,
) -> dict[str, np.ndarray]:
    """Return a model's inputs by name, [N] each: float64 with NaN, or texts.

    Args:
        cells: Rows of a table with the columns that the model needs, by training's names.
        model: The model.
        place: Describes a row by its position in `cells`.
        unusual: Counts what training did not know.

    Raises:
        RequestError: A cell is of another kind; with its place.
    """
    found: dict[str, np.ndarray] = {}
    for name in model.numeric:
        origin = model.origins.get(name, name)
        how = model.spellings.get(name, _PLAIN)
        what = f"column {shown(origin)}"
        values = numbers(cells[origin], how, what, place)
        if origin == name and name not in model.gaps and (gaps := int(np.isnan(values).sum())):
            unusual.gaps[name] += gaps
        found[model.inputs[name]] = _words(values, how) if is_text(how) else values
    for name in model.text:
        codes, texts = categories(cells[name], model.spellings[name])
        levels = {"" if level == MISSING else level for level in model.levels[name]}
        odd = np.array([text not in levels for text in texts])[codes]
        if count := int(odd.sum()):
            unusual.unknown[name] += count
            unusual.first.setdefault(name, str(texts[codes[int(odd.argmax())]]) or MISSING)
        found[model.inputs[name]] = texts[codes]
    return found


def numbers(cells: pd.Series, how: Spelling, what: str, place: Callable[[int], str]) -> np.ndarray:
    """Return a column's numbers, float64 with NaN for missing values, [N].

    Args:
        cells: The column.
        how: The format of its texts.
        what: Names the column in messages.
        place: Describes a row by its position.

    Raises:
        RequestError: A cell is no number of this format, or is infinite.
    """
    values = _plain_numbers(cells, how)
    if values is None:
        values = _read_each(cells, how, what, place)
    check_numbers(values, np.arange(len(values)), what, place)
    if how.kind == "truth" and (odd := ~(np.isnan(values) | np.isin(values, [0, 1]))).any():
        row = int(odd.argmax())
        odd_cell = f"{place(row)}, {what}: {values[row]:g} is neither true nor false"
        raise RequestError(odd_cell, _expected(how))
    return values


def _plain_numbers(cells: pd.Series, how: Spelling) -> np.ndarray | None:
    """Return numbers that need no reading of each text, which is slow; else None."""
    from pandas.api.types import is_numeric_dtype

    if how.kind == "date":
        return None
    if is_numeric_dtype(cells):
        return cells.astype("float64").to_numpy(np.float64, na_value=np.nan)
    if replace(how, missing=()) != _PLAIN or cells.dtype == object:
        return None
    texts = cells.to_numpy(object)
    empty = texts == ""
    try:
        values = np.where(empty, "nan", texts).astype(np.float64)
    except (TypeError, ValueError):
        return None
    # Python also reads 1_000, nan and the digits of other scripts as numbers.
    written = "".join(texts)
    usual = written.isascii() and "_" not in written and (np.isfinite(values) | empty).all()
    return values if usual else None


def _read_each(
    cells: pd.Series, how: Spelling, what: str, place: Callable[[int], str]
) -> np.ndarray:
    """Return the numbers of texts, reading each distinct one."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(cells) and how.kind == "date":
        how = replace(how, date_format="iso")
    arguments = how.arguments()
    codes, distinct = pd.factorize(cells)
    found = np.full(len(distinct) + 1, np.nan)  # the last is that of missing cells, -1
    for k, (cell, text) in enumerate(zip(distinct, as_text(pd.Series(distinct)), strict=True)):
        is_number = isinstance(cell, int | float) and how.kind != "date"
        try:
            found[k] = float(cell) if is_number else to_number(text, **arguments)
        except (ValueError, OverflowError) as error:
            where = place(int(np.argmax(codes == k)))
            odd = f"{text!r} is no date" if how.kind == "date" else error
            hint = "empty the cell if it has no value" if text.lower() in MISSING_WORDS else ""
            raise RequestError(f"{where}, {what}: {odd}", _expected(how), hint) from None
    return found[codes]


def _expected(how: Spelling) -> str:
    """Return the format of a column's cells in words."""
    if how.kind == "date":
        first = datetime.fromisoformat(how.origin)
        shown = first.date() if how.date_format == "iso" else first.strftime(how.date_format)
        return f"a {'time' if how.is_time else 'date'} such as {shown}, as in training"
    return f"{how.in_words() or 'numbers'}, as in training"


def categories(cells: pd.Series, how: Spelling) -> tuple[np.ndarray, np.ndarray]:
    """Return a column's categories: for each row its position among the texts; and the texts.

    Missing ones are empty texts.
    """
    import pandas as pd

    codes, distinct = pd.factorize(cells)
    plain = [f"{v:.0f}" if isinstance(v, float) and v % 1 == 0 else v for v in distinct]
    texts = as_text(pd.Series(plain, dtype=object)).to_numpy(object)
    texts = np.append(texts, "")  # of missing cells, whose code is -1
    texts[[text in how.missing for text in texts]] = ""
    return np.where(codes < 0, len(distinct), codes), texts


def _words(values: np.ndarray, how: Spelling) -> np.ndarray:
    """Return truth values in the words of training."""
    words: Mapping[float, str] = {1.0: how.true, 0.0: how.false}
    return np.array([words.get(value, "") for value in values], object)


def cells_of(rows: list[dict[str, Any]], model: ModelDescription) -> pd.DataFrame:
    """Return rows given by their columns' names as a table of a model's columns.

    Raises:
        RequestError: A row lacks a column, or a cell is a list or an object.
    """
    import pandas as pd

    names = model.needed
    for number, row in enumerate(rows):
        for name in names:
            if name not in row:
                raise RequestError(f"row {number} lacks the column {shown(name)}")
            if isinstance(row[name], list | dict):
                raise RequestError(
                    f"row {number}, column {shown(name)} holds a list or an object",
                    "a number, a text, true, false or null",
                )
    columns = {name: pd.Series([row[name] for row in rows], dtype=object) for name in names}
    return pd.DataFrame(columns)
