"""Reading of tables: columns are sorted into numbers and categories."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.data.columns import (
    MISSING,
    Feature,
    as_text,
    read_feature,
    shown,
)
from trainstack.search.data.dataset import Part
from trainstack.search.data.raw import Raw, check_memory
from trainstack.search.data.spelling import Spelling, moment, to_numbers
from trainstack.search.data.table_formats import FORMATS
from trainstack.search.data.targets import read_target
from trainstack.search.data.weighting import read_weights
from trainstack.spaces.errors import RequestError, nearest

if TYPE_CHECKING:
    import pandas as pd

# Bytes per cell during preparation: its text, float64 without_non_finite and encoded, float32.
_CELL_BYTES = 40
# Most columns named in a note.
_NAMED = 8


def read_table(
    path: Path,
    target: str | None,
    task: str,
    limit_bytes: int | None = None,
    weight: str | None = None,
) -> Raw:
    """Read a table and sort its columns.

    Numbers, dates and booleans in any format are numeric; other text becomes one-hot. Rows without
    a target, columns with at most one value, and identifiers are left out with a note.

    Args:
        path: The `.csv` or `.parquet` file.
        target: Column to predict.
        task: `auto`, `classification` or `regression`; see `read_target`.
        limit_bytes: Memory limit; None: free memory of the machine.
        weight: Column of the rows' weights, which is no feature.

    Raises:
        RequestError: The file, a column or the target cannot be used.
    """
    table = FORMATS[path.suffix.lower()]
    rows, names = table.outline(path)
    target = _column_named(target, names, path.name)
    check_memory(rows * len(names) * _CELL_BYTES, str(path), limit_bytes)
    frame: Any = table.read(path)
    held = as_text(frame[target]) != "" if len(frame) else []
    notes = []
    if lacking := len(frame) - int(sum(held)):
        notes.append(f"{lacking} row(s) without a value of {shown(target)} are left out.")
        frame = frame[held]
    if not len(frame):
        raise RequestError(f"{path.name} has no rows with a value of {shown(target)}", "rows")

    def place(row: int) -> str:
        return table.place(path, row)

    weights = None
    if weight is not None:
        weight = _column_named(weight, names, path.name, "weight")
        if weight == target:
            raise RequestError(f"--weight {shown(weight)} is the target", "another column")
        weights = read_weights(frame[weight], weight, place)
    learnt = read_target(frame[target], target, task, place)
    features = {
        name: read_feature(frame[name], name, path.name, place, table.typed)
        for name in frame.columns
        if name not in (target, weight)
    }
    kept, dropped = _kept(features)
    if not kept:
        raise RequestError(f"{path.name} has no usable column beside {shown(target)}", "features")
    numeric = tuple(name for name, feature in kept.items() if feature.is_number)
    text = tuple(name for name in kept if name not in numeric)
    spellings = {name: f.spelling for name, f in kept.items() if f.spelling is not None}
    return Raw(
        {"train": Part(_frame(frame.index, kept, (*numeric, *text)), learnt.y, weights)},
        python=_python(
            *(table.python(path), target, learnt.python, numeric, text, spellings, weight)
        ),
        task=learnt.task,
        target=target,
        classes=learnt.classes,
        columns=(*numeric, *text),
        numeric=numeric,
        text=text,
        spellings=spellings,
        weight=weight,
        notes=(*notes, *dropped, *learnt.notes, *_notes(kept)),
    )


def _column_named(target: str | None, names: Sequence[str], file: str, role: str = "target") -> str:
    """Return the column of a given name; runs of blanks and line breaks count as one blank."""
    if target is None:
        raise RequestError(f"no target for {file}", "--target COLUMN", _known(names))
    if target in names:
        return target
    plain = [" ".join(name.split()) for name in names]
    wanted = " ".join(target.replace("\\n", " ").split())
    if plain.count(wanted) == 1:
        return names[plain.index(wanted)]
    raise RequestError(
        f"{file} has no column {shown(target)}", f"a {role} column", nearest(wanted, plain)
    )


def _kept(features: Mapping[str, Feature]) -> tuple[dict[str, Feature], list[str]]:
    """Return the columns that become features, and notes about the others."""
    useless = [name for name, feature in features.items() if feature.is_useless]
    rest = {name: feature for name, feature in features.items() if name not in useless}
    named = [name for name, feature in rest.items() if feature.is_identifier]
    if len(named) == len(rest):  # use row numbers if there is nothing else, but not names
        named = [name for name in named if not rest[name].is_number]
    alone = [name for name in rest if name not in named and rest[name].is_identifier]
    notes = []
    if alone:
        notes.append(f"Column(s) {_list(alone)} may be row numbers, but are the only features.")
    if useless:
        notes.append(f"Column(s) {_list(useless)} hold at most one value and are left out.")
    if named:
        notes.append(
            f"Column(s) {_list(named)} have a distinct value in every row, as identifiers do, "
            "and are left out."
        )
    return {name: feature for name, feature in rest.items() if name not in named}, notes


def _notes(kept: Mapping[str, Feature]) -> list[str]:
    """Return notes about the features, with one sentence for all empty cells."""
    notes = [note for feature in kept.values() for note in feature.notes]
    empty = [f"{shown(name)} ({feature.empty})" for name, feature in kept.items() if feature.empty]
    if empty:
        more = f" and {len(empty) - _NAMED} more column(s)" if len(empty) > _NAMED else ""
        notes.append(f"Empty cells are read as missing in {', '.join(empty[:_NAMED])}{more}.")
    return notes


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(shown, names))


def _frame(index: Any, kept: Mapping[str, Feature], names: Sequence[str]) -> pd.DataFrame:
    """Return the columns for the encoder: float64 with NaN, then texts."""
    import pandas as pd

    columns = [pd.Series(kept[name].values, index=index, name=name) for name in names]
    return pd.concat(columns, axis=1)


def _python(
    read: str,
    target: str,
    target_python: str,
    numeric: Sequence[str],
    text: Sequence[str],
    spellings: Mapping[str, Spelling],
    weight: str | None,
) -> tuple[str, ...]:
    """Return lines of Python that read the same table, with the functions they call."""
    spelt = {name: spellings[name].arguments() for name in numeric if name in spellings}
    from_text = bool(spelt) or "to_numbers" in target_python
    functions = [moment, to_numbers] if from_text else []
    lines = [line for f in (as_text, *functions) for line in _source(f)]
    column = 'frame[name].astype("float64")'
    texts = "to_numbers(as_text(frame[name]), **spelt[name])"
    if len(spelt) == len(numeric):  # CSV: all cells are texts, mostly plain numbers
        spelt = {name: options for name, options in spelt.items() if options}
        column = texts.replace("spelt[name]", "spelt.get(name, {})")
    elif spelt:
        column = f"{texts} if name in spelt else {column}"
    return (
        *(("import math", "from datetime import datetime, timedelta") if from_text else ()),
        "import numpy as np",
        "import pandas as pd",
        "",
        *lines,
        f"frame = {read}",
        "frame.columns = frame.columns.map(str)",
        f'frame = frame[as_text(frame[{target!r}]) != ""]',
        f"y_train = {target_python}",
        *((f'w_train = frame[{weight!r}].astype("float64").to_numpy()',) if weight else ()),
        f"numeric = {list(numeric)!r}",
        f"text = {list(text)!r}",
        *((f"spelt = {spelt!r}",) if "spelt" in column else ()),
        "columns = {}",
        "for name in numeric:",
        f"    columns[name] = {column}",
        "for name in text:",
        "    labels = as_text(frame[name])",
        f'    columns[name] = labels.where(labels != "", {MISSING!r}).astype(object)',
        "x_train = pd.DataFrame(columns, index=frame.index)",
        "has_missing = [name for name in numeric if x_train[name].isna().any()]",
    )


def _source(function: Any) -> list[str]:
    """Return a function's source without annotations, which an exported script does not need."""
    source = inspect.getsource(function).replace(": Any", "").replace(" -> Any", "")
    return ["", *source.rstrip().splitlines(), ""]


def _known(names: Sequence[str]) -> str:
    shown_names = ", ".join(" ".join(name.split()) for name in names[:12])
    return f"columns: {shown_names}" + (f" and {len(names) - 12} more" if len(names) > 12 else "")
