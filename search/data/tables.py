"""Tables: columns sorted into numbers and categories, and the encoder that makes features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.data.checks import check_finite
from search.data.dataset import Part
from search.data.raw import Raw, check_memory
from search.data.tablefiles import FORMATS
from spaces.errors import RequestError, nearest

if TYPE_CHECKING:
    import pandas as pd

# A one-hot column per category, at most this many a column; the rarest share the last one.
MAX_CATEGORIES = 50
# Above this a text column is taken for an identifier or free text, not for categories.
MAX_DISTINCT = 1000
# Whole numbers with at most this many distinct values are class labels under `--task auto`.
MAX_AUTO_CLASSES = 20
MISSING = "(missing)"
# A table's cell in bytes while it is prepared: as read and tidied (8 each), then float32 twice.
_CELL_BYTES = 24


def read_table(path: Path, target: str | None, task: str, limit_bytes: int | None = None) -> Raw:
    """Read a table and sort its columns.

    Numbers and booleans are numeric; text and categories become one-hot. Rows without a target,
    and columns that hold one value or none, are left out with a note.

    Args:
        path: The `.csv` or `.parquet` file.
        target: Column to predict.
        task: `auto`, `classification` or `regression`. `auto`: text, booleans, and whole numbers
            of at most 20 distinct values are classes; every other target is a quantity.
        limit_bytes: Memory that may be taken; None asks the machine.

    Raises:
        RequestError: The file, a column or the target cannot be used.
    """
    table = FORMATS[path.suffix.lower()]
    rows, names = table.outline(path)
    if target is None:
        raise RequestError(f"no target for {path.name}", "--target COLUMN", _known(names))
    if target not in names:
        raise RequestError(
            f"{path.name} has no column '{target}'", "a target column", nearest(target, names)
        )
    check_memory(rows * len(names) * _CELL_BYTES, str(path), limit_bytes)
    frame = table.read(path)
    frame.columns = frame.columns.map(str)
    notes = []
    if lacking := int(frame[target].isna().sum()):
        notes.append(f"{lacking} row(s) without a value of '{target}' are left out.")
        frame = frame.dropna(subset=[target])
    if not len(frame):
        raise RequestError(f"{path.name} has no rows with a value of '{target}'", "rows")
    task = _task_of(frame[target]) if task == "auto" else task
    y, classes, target_python = _target(frame[target], target, task)
    numeric, text, dropped = _sort_columns(frame.drop(columns=target), path.name)
    if dropped:
        names = ", ".join(f"'{name}'" for name in dropped)
        notes.append(f"Column(s) {names} hold at most one value and are left out.")
    if not numeric and not text:
        raise RequestError(f"{path.name} has no usable column beside '{target}'", "features")
    return Raw(
        {"train": Part(tidy(frame, numeric, text), y)},
        python=_python(table.python.format(path=str(path)), target, target_python, numeric, text),
        task=task,
        classes=classes,
        columns=(*numeric, *text),
        numeric=tuple(numeric),
        text=tuple(text),
        notes=tuple(notes),
    )


def tidy(frame: pd.DataFrame, numeric: Sequence[str], text: Sequence[str]) -> pd.DataFrame:
    """Return the columns an encoder reads: float64 with NaN, and text with missing named."""
    import pandas as pd

    labels = frame[list(text)]
    labels = labels.astype(object).where(labels.notna(), MISSING).map(str)
    return pd.concat([frame[list(numeric)].astype("float64"), labels], axis=1)


def make_encoder(
    numeric: Sequence[str],
    has_missing: Sequence[str],
    text: Sequence[str],
    categories: Sequence[Sequence[str]],
) -> Any:
    """Return the unfitted transformer of a tidy frame.

    What there is to encode (which columns lack values, which categories exist) is given, so that
    the number of features is the same for every split; every number that it learns (medians,
    how frequent a category is) comes from the rows it is fitted on.

    Args:
        numeric: Columns whose gaps are filled with the median.
        has_missing: Numeric columns that also get a feature telling that the value was missing.
        text: Columns that become one-hot.
        categories: The categories of each text column; others encode as the infrequent feature
            where the column has one, else as zeros.

    Returns:
        A ColumnTransformer; its output is a dense array [N, D].
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    known: Any = [list(names) for names in categories]
    as_float: Any = np.float32
    return ColumnTransformer(
        [
            ("number", SimpleImputer(strategy="median", keep_empty_features=True), list(numeric)),
            ("missing", MissingIndicator(features="all"), list(has_missing)),
            (
                "category",
                OneHotEncoder(
                    categories=known,
                    handle_unknown="infrequent_if_exist",
                    max_categories=MAX_CATEGORIES,
                    sparse_output=False,
                    dtype=as_float,
                ),
                list(text),
            ),
        ]
    )


def _task_of(column: pd.Series) -> str:
    """Decide a target's task; the rule stands at `read_table`."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_bool_dtype(column) or not is_numeric_dtype(column):
        return "classification"
    values = column.astype("float64")
    whole = bool((values == values.round()).all())
    return "classification" if whole and values.nunique() <= MAX_AUTO_CLASSES else "regression"


def _target(column: pd.Series, name: str, task: str) -> tuple[np.ndarray, tuple[str, ...], str]:
    """Return targets, class names and the Python expression that gives the same targets."""
    from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

    numbers = is_numeric_dtype(column) and not is_bool_dtype(column)
    if is_datetime64_any_dtype(column):
        raise RequestError(f"the target '{name}' holds dates", "numbers or class names")
    if task == "regression":
        if not numbers and not is_bool_dtype(column):
            raise RequestError(
                f"the target '{name}' holds text such as '{column.iloc[0]}'",
                "numbers for --task regression",
            )
        values = column.astype("float64").to_numpy()
        check_finite(values, f"the target '{name}'")
        return values, (), f'frame[{name!r}].astype("float64").to_numpy()'
    kind = '"float64"' if numbers else "str"
    # Numbers sort as numbers (2 before 10), text as text.
    values = column.astype("float64" if numbers else str).to_numpy()
    if numbers:
        check_finite(values, f"the target '{name}'")
    found, y = np.unique(values if numbers else values.astype(object), return_inverse=True)
    expression = f"np.unique(frame[{name!r}].astype({kind}).to_numpy(), return_inverse=True)[1]"
    if not numbers:
        expression = expression.replace(".to_numpy()", ".to_numpy(object)")
    classes = tuple(f"{v:.0f}" if numbers and v == round(v) else str(v) for v in found)
    return y, classes, expression


def _sort_columns(frame: pd.DataFrame, file: str) -> tuple[list[str], list[str], list[str]]:
    """Return the names of (numeric, text, useless) columns; refuse what is neither."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    numeric, text, dropped = [], [], []
    for name in map(str, frame.columns):
        column = frame[name]
        if is_numeric_dtype(column) or is_bool_dtype(column):
            values = column.astype("float64").to_numpy()
            check_finite(values[~np.isnan(values)], f"column '{name}' of {file}")
            kinds = numeric
        else:
            _check_text(column, name, file)
            kinds = text
        useless = column.isna().all() or (not column.isna().any() and column.nunique() == 1)
        (dropped if useless else kinds).append(name)
    return numeric, text, dropped


def _check_text(column: pd.Series, name: str, file: str) -> None:
    """Refuse dates, nested values, and text that is no set of categories."""
    import pandas as pd
    from pandas.api.types import is_datetime64_any_dtype, is_timedelta64_dtype

    if is_datetime64_any_dtype(column) or is_timedelta64_dtype(column):
        raise RequestError(
            f"column '{name}' of {file} holds dates or times",
            "numbers, booleans or text",
            "make numbers of it (year, month, days since a fixed day) or drop it",
        )
    held: Any = column.dropna()
    if isinstance(column.dtype, pd.CategoricalDtype):
        held = held.astype(object)
    odd = next((value for value in held if not isinstance(value, str | bool | int | float)), None)
    if odd is not None:
        raise RequestError(
            f"column '{name}' of {file} holds {type(odd).__name__} values",
            "numbers, booleans or text",
            "convert it or drop it",
        )
    distinct = held.map(str).nunique()
    if distinct <= MAX_DISTINCT and (distinct <= MAX_CATEGORIES or distinct <= len(held) / 2):
        return
    parsed: Any = pd.to_numeric(held, errors="coerce")
    if parsed.notna().mean() > 0.5:
        raise RequestError(
            f"column '{name}' of {file} is mostly numbers but holds text such as "
            f"'{held[parsed.isna()].iloc[0]}'",
            "numbers alone",
            "mend or empty those cells",
        )
    raise RequestError(
        f"column '{name}' of {file} is text with {distinct} distinct values in {len(held)} rows, "
        "which looks like an identifier, a date or free text",
        f"at most {MAX_DISTINCT} categories that recur",
        "drop the column or encode it as numbers",
    )


def _python(
    read: str, target: str, target_python: str, numeric: Sequence[str], text: Sequence[str]
) -> tuple[str, ...]:
    return (
        "import numpy as np",
        "import pandas as pd",
        "",
        f"frame = {read}",
        "frame.columns = frame.columns.map(str)",
        f"frame = frame.dropna(subset=[{target!r}])",
        f"y_train = {target_python}",
        f"numeric = {list(numeric)!r}",
        f"text = {list(text)!r}",
        "labels = frame[text]",
        f"labels = labels.astype(object).where(labels.notna(), {MISSING!r}).map(str)",
        'x_train = pd.concat([frame[numeric].astype("float64"), labels], axis=1)',
        "has_missing = [name for name in numeric if x_train[name].isna().any()]",
    )


def _known(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12])
    return f"columns: {shown}" + (f" and {len(names) - 12} more" if len(names) > 12 else "")
