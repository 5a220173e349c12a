"""The column to predict: its task, classes and values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.data.column_checks import Place, check_numbers, refuse_nearly_numbers
from trainstack.search.data.column_names import shown
from trainstack.search.data.column_words import blanks_note, case_warning
from trainstack.search.data.columns import as_text
from trainstack.search.data.kinds import MAX_AUTO_CLASSES
from trainstack.search.data.spelling import Spelling, decide, numbers_of
from trainstack.search.data.text_values import to_numbers
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Target:
    """The values to predict.

    Attributes:
        y: float64 [N] in regression, else labels from 0, [N].
        task: `classification` or `regression`.
        classes: Names in label order; empty for regression.
        python: The Python expression that computes `y` from the frame's rows.
        notes: Notes for the user.
        warnings: What the user should consider.
        labels: The two values of each target, the one coded as 0 first, if there are several; see
            `trainstack.search.data.several_targets`.
    """

    y: np.ndarray
    task: str
    classes: tuple[str, ...]
    python: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()


def read_target(
    column: pd.Series, name: str, task: str, place: Place, comma: bool = False
) -> Target:
    """Read a target without empty cells.

    Words for a missing number are empty already (`missing_targets`); None or NA may be a class.

    Args:
        column: The cells, indexed by their row.
        name: Name of the column.
        task: `auto`, `classification` or `regression`. `auto`: text, booleans, and whole numbers
            of at most 20 distinct values are classes; every other target is a quantity.
        place: Describes the position of a row in the file.
        comma: Whether columns of the file have decimal commas.

    Raises:
        RequestError: It holds dates, infinities, or text instead of numbers.
    """
    texts = as_text(column)
    found = _numbers(column, texts, name, task, comma)
    if found is None:
        if task == "regression":
            refuse_nearly_numbers(set(texts), f"the target {shown(name)}")
            raise RequestError(
                f"the target {shown(name)} holds text such as '{texts.iloc[0]}'",
                "numbers for --task regression",
            )
        classes, y = np.unique(texts.to_numpy(object), return_inverse=True)
        python = f"np.unique(as_text(frame[{name!r}]).to_numpy(object), return_inverse=True)[1]"
        notes, warnings = blanks_note(column, texts, name), case_warning(texts, name)
        return Target(y, "classification", tuple(map(str, classes)), python, notes, warnings)
    values, python, words = found
    check_numbers(values.astype("float64"), column.index, f"the target {shown(name)}", place)
    notes = (f"The target {shown(name)} is read as {words}.",) if words else ()
    if task == "auto":
        whole = bool((values == np.round(values)).all())
        few = len(np.unique(values)) <= MAX_AUTO_CLASSES
        task = "classification" if whole and few else "regression"
    if task == "regression":
        return Target(values.astype("float64"), task, (), f'{python}.astype("float64")', notes)
    # Numbers sort as numbers (2 before 10), text as text.
    held, y = np.unique(values, return_inverse=True)
    classes = tuple(f"{v:.0f}" if v == np.round(v) else str(v) for v in held)
    if values.dtype.kind in "iu":
        classes = tuple(map(str, held))
    return Target(y, task, classes, f"np.unique({python}, return_inverse=True)[1]", notes)


def _numbers(
    column: pd.Series, texts: Any, name: str, task: str, comma: bool
) -> tuple[np.ndarray, str, str] | None:
    """Return the target's numbers, their Python and how they are read; None for classes."""
    import pandas as pd
    from pandas.api.types import is_bool_dtype, is_numeric_dtype, is_unsigned_integer_dtype

    if is_numeric_dtype(column) and not is_bool_dtype(column):
        kind = "float64"
        if pd.api.types.is_integer_dtype(column):
            kind = "uint64" if is_unsigned_integer_dtype(column) else "int64"
        return column.astype(kind).to_numpy(), f"frame[{name!r}].astype({kind!r}).to_numpy()", ""
    distinct = set(texts)
    declared = isinstance(column.dtype, pd.CategoricalDtype)
    spelling = Spelling() if declared else decide(distinct, words=(), comma=comma)
    if spelling.kind == "date":
        raise RequestError(f"the target {shown(name)} holds dates", "numbers or class names")
    if spelling.kind == "truth" and task != "regression":
        return None
    if (
        spelling.kind == "category"
        and task == "regression"
        and (marks := numbers_of(distinct, comma))
    ):
        spelling = Spelling("number", **marks)
    if spelling.kind == "category":
        if len(distinct) > MAX_AUTO_CLASSES and not numbers_of(distinct):
            refuse_nearly_numbers(distinct, f"the target {shown(name)}")
        return None
    read = f"as_text(frame[{name!r}])"
    if all(re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) for text in distinct):
        return texts.map(int).to_numpy("int64"), f'{read}.map(int).to_numpy("int64")', ""
    arguments = spelling.arguments()
    options = "".join(f", {key}={value!r}" for key, value in arguments.items())
    values = np.array(to_numbers(texts, **arguments))
    return values, f"np.array(to_numbers({read}{options}))", spelling.in_words()
