"""Columns of a table: what each is, and its conversion to the encoder's columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.data.column_checks import (
    Place,
    check_numbers,
    check_values,
    refuse_ambiguous,
    refuse_nearly_numbers,
)
from trainstack.search.data.column_names import shown
from trainstack.search.data.column_words import (
    blanks_note,
    case_warning,
    how,
    missing_note,
    mixture_warning,
    unique,
)
from trainstack.search.data.kinds import (
    MAX_DISTINCT,
    are_codes,
    is_row_number,
    kind_of_texts,
    names_codes,
    names_rows,
    recur,
)
from trainstack.search.data.spelling import Spelling, decide, numbers_of, read_as
from trainstack.search.data.text_values import moment, since, to_numbers
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

MISSING = "(missing)"
_FLAGS = {"number": "--numeric", "category": "--categorical", "date": "--date"}


@dataclass(frozen=True)
class Column:
    """What a column is and what becomes of it.

    Attributes:
        name: Its name.
        kind: `number`, `category`, `date`, `boolean`, `text` or `identifier`.
        missing: Share of rows without a value, from 0 to 1.
        levels: Number of distinct values.
        used: Whether the network learns from it.
        why: How it is read, or why it is left out.
        features: Number of the network's inputs that are made of it.
    """

    name: str
    kind: str
    missing: float
    levels: int
    used: bool
    why: str
    features: int = 0

    @property
    def is_constant(self) -> bool:
        """Whether it holds the same in every row: one value, or none."""
        return self.levels == 0 or (self.levels == 1 and self.missing == 0)


@dataclass(frozen=True, eq=False)
class Feature:
    """A column other than the target, as read.

    Attributes:
        column: What it is.
        values: The encoder's columns by name: float64 with NaN for numbers, or texts with missing
            ones named. A date has several.
        spellings: How their texts are read, by name; none for numeric columns.
        notes: Notes for the user.
        warnings: What the user should consider.
        empty: Number of empty cells.
    """

    column: Column
    values: Mapping[str, Any]
    spellings: Mapping[str, Spelling] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    empty: int = 0

    @property
    def is_number(self) -> bool:
        """True if standardised, false if one-hot."""
        return all(values.dtype.kind == "f" for values in self.values.values())


@dataclass(frozen=True, eq=False)
class Source:
    """A column of a file that is to be read.

    Attributes:
        cells: The cells, indexed by their row.
        name: Name of the column.
        file: Name of the file.
        place: Describes the position of a row in the file.
        typed: Whether the file format has numeric columns; then digits of equal length stored as
            text are codes, such as postcodes.
        kind: The kind that the user says it has: `number`, `category`, `date` or None.
        kept: Whether the user says that it is to be used.
        comma: Whether other columns of the file have decimal commas.
        taken: Names of all columns of the file.
    """

    cells: pd.Series
    name: str
    file: str
    place: Place
    typed: bool = False
    kind: str | None = None
    kept: bool = False
    comma: bool = False
    taken: Collection[str] = ()

    @property
    def what(self) -> str:
        """The column in words."""
        return f"column {shown(self.name)} of {self.file}"


def as_text(column: Any) -> Any:
    """Return a column's cells as stripped texts; missing ones are empty."""
    if column.dtype.kind == "f":  # 1.0 is written as 1
        column = column.map(lambda v: v if v % 1 else f"{v:.0f}", na_action="ignore")
    texts = column.astype(object).where(column.notna(), "").map(str)
    texts = texts.str.replace("[\u00a0\u202f]", " ", regex=True).str.strip()
    return texts.astype(object)  # plain strings are faster to iterate over


def read_feature(source: Source) -> Feature:
    """Determine the kind of a column and read it.

    Raises:
        RequestError: It holds infinities, lists, ambiguous dates or numbers with a few texts, or it
            does not have the kind that the user says.
    """
    from pandas.api.types import infer_dtype, is_numeric_dtype

    cells = source.cells
    is_numeric = is_numeric_dtype(cells) or infer_dtype(cells) == "decimal"
    if is_numeric and source.kind in (None, "number") and not names_codes(source.name):
        return _number(source, cells.astype("float64").to_numpy())
    if source.typed and not is_numeric:
        check_values(cells, source.name, source.file)
    texts = as_text(cells)
    spelling = _spelling_of(source, texts)
    if spelling.kind == "category":
        return _category(source, texts, spelling)
    if is_numeric and spelling.kind != "date":  # named like a code, but none
        return _number(source, cells.astype("float64").to_numpy())
    if spelling.kind == "date":
        days, *parts = _dates(texts, spelling)
        return _number(source, days[1], spelling, texts, parts)
    values = np.array(to_numbers(texts, **spelling.arguments()))
    return _number(source, values, spelling, texts)


def _dates(texts: Any, spelling: Spelling) -> list[tuple[Spelling, np.ndarray]]:
    """Return the numbers that `to_numbers` makes of dates: the days, then each calendar part.

    Every distinct text is parsed once, which takes longer than all else.
    """
    absent = {"", *spelling.missing}
    moments = {text: moment(text, spelling.date_format) for text in set(texts) - absent}
    found = []
    for part in ("", *spelling.calendar_parts()):
        numbers = {text: since(at, spelling.origin, part) for text, at in moments.items()}
        values = np.array([numbers.get(text, np.nan) for text in texts])
        found.append((replace(spelling, part=part), values))
    return found


def _spelling_of(source: Source, texts: Any) -> Spelling:
    """Return how the texts are read."""
    import pandas as pd

    distinct = set(texts)
    if source.kind == "category":
        missing = decide(distinct | {"a category"}).missing
        return Spelling(missing=missing)
    if source.kind is not None:
        return _as_asked(source, source.kind, distinct)
    if isinstance(source.cells.dtype, pd.CategoricalDtype):
        return Spelling()
    if (source.typed or names_codes(source.name)) and are_codes(distinct) and _fit(texts):
        return Spelling()
    spelling = decide(distinct, comma=source.comma)
    if spelling.kind == "category" and len(distinct) != len(texts) and not _fit(texts):
        # Codes with too many distinct values for categories.
        number = numbers_of([text for text in distinct if text], source.comma)
        return Spelling("number", **number) if number else spelling
    refuse_ambiguous(spelling, distinct, source.name, source.file)
    return spelling


def _fit(texts: Any) -> bool:
    """Tell whether codes are few enough for categories."""
    held = texts[texts != ""]
    return recur(held) and held.nunique() <= MAX_DISTINCT


def _as_asked(source: Source, kind: str, distinct: Collection[str]) -> Spelling:
    spelling = read_as(kind, distinct, source.comma)
    if spelling is None:
        odd = next((text for text in sorted(distinct) if text), "")
        raise RequestError(
            f"{_FLAGS[kind]} names {shown(source.name)}, which holds text such as '{odd}'",
            f"a column in which most cells are {kind}s",
        )
    refuse_ambiguous(spelling, distinct, source.name, source.file)
    return spelling


def _number(
    source: Source,
    values: np.ndarray,
    spelling: Spelling | None = None,
    texts: Any = None,
    parts: Sequence[tuple[Spelling, np.ndarray]] = (),
) -> Feature:
    name, is_date = source.name, spelling is not None and spelling.kind == "date"
    check_numbers(values, source.cells.index, source.what, source.place)
    held = values[~np.isnan(values)]
    levels = np.unique(held)
    kind = "date" if is_date else "number"
    kind = "boolean" if not is_date and np.array_equal(levels, [0, 1]) else kind
    made = {name: values}
    spellings = {} if spelling is None else {name: spelling}
    for found, numbers in parts:
        if len(np.unique(numbers[~np.isnan(numbers)])) > 1:
            made_name = _free_name(f"{name} {found.part}", source.taken)
            made[made_name], spellings[made_name] = numbers, found
    words = spelling.in_words() if spelling else ""
    if taken := [s.part for s in spellings.values() if s.part]:
        words = f"{words}, and {', '.join(taken)}"
    counts = Counter(texts) if spelling else Counter[str]()
    notes = [f"Column {shown(name)} is read as {words}."] if words else []
    if spelling and spelling.missing:
        notes.append(missing_note(name, spelling.missing, counts))
    missing = float(np.isnan(values).mean())
    why = how(kind, len(levels), missing, words, spelling.missing if spelling else ())
    column = Column(name, kind, missing, len(levels), used=True, why=why)
    free = not is_date and source.kind is None and not source.kept
    if free and is_row_number(values, names_rows(name)):
        why = unique(len(levels), len(held))
        column = replace(column, kind="identifier", used=False, why=why)
    empty = counts[""] if spelling else len(values) - len(held)
    column = _without_variation(column, source)
    return Feature(column, made, spellings, tuple(notes), empty=empty)


def _category(source: Source, texts: Any, spelling: Spelling) -> Feature:
    name = source.name
    absent = texts.isin(["", *spelling.missing])
    held = texts[~absent]
    kind = "category"
    if source.kind is None and not source.kept:
        kind = kind_of_texts(held)
    levels = held.nunique()
    is_coded = (source.typed or names_codes(name)) and are_codes(set(held))
    if source.kind is None and not is_coded:
        hint = "correct or empty those cells, or name it with --numeric, --categorical or --drop"
        refuse_nearly_numbers(set(held), source.what, hint)
    notes: list[str] = []
    warnings: list[str] = []
    if kind == "category":
        notes += blanks_note(source.cells, texts, name)
        warnings += case_warning(texts, name)
        warnings += () if source.kind else mixture_warning(held, name)
        if spelling.missing:
            notes.append(missing_note(name, spelling.missing, Counter(texts)))
    missing = float(absent.mean())
    why = how(kind, levels, missing, "", spelling.missing)
    if kind == "identifier":
        why = unique(levels, len(held))
    elif kind == "text":
        why = f"free text: {levels:,} distinct values in {len(held):,} rows"
    column = Column(name, kind, missing, levels, used=kind == "category", why=why)
    column = _without_variation(column, source)
    labels = texts.where(~absent, MISSING).to_numpy(object)
    empty = int((texts == "").sum())
    made, spellings = {name: labels}, {name: spelling}
    return Feature(column, made, spellings, tuple(notes), tuple(warnings), empty)


def _without_variation(column: Column, source: Source) -> Column:
    """Leave a column out if it holds at most one value, unless the user keeps it."""
    if not column.is_constant or source.kept:
        return column
    why = "one value in every row" if column.levels else "no value in any row"
    return replace(column, used=False, why=why)


def _free_name(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name
