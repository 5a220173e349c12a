"""Reading of tables: what each column is, and which are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.data.column_names import shown
from trainstack.search.data.columns import Column, Feature, Source, read_feature
from trainstack.search.data.missing_targets import emptied, emptying, missing_notes
from trainstack.search.data.overrules import NO_OVERRULES, Overrules
from trainstack.search.data.part import Part
from trainstack.search.data.raw import Raw, check_memory
from trainstack.search.data.several_targets import (
    complete_rows,
    named,
    read_targets,
    targets_named,
)
from trainstack.search.data.split_checks import check_learnt
from trainstack.search.data.split_columns import columns_named
from trainstack.search.data.split_keys import SplitKeys
from trainstack.search.data.split_plan import RANDOM, SplitPlan
from trainstack.search.data.table_code import python_of
from trainstack.search.data.table_division import divide, roles_of, without_progress
from trainstack.search.data.table_files import TableFiles
from trainstack.search.data.unlabelled import (
    KEEP,
    nothing_to_keep,
    rows_to_keep,
    sentences,
    setting_aside,
)
from trainstack.search.data.weight_column import (
    WEIGHT,
    described,
    read_weights,
    weight_named,
)
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

# Bytes per cell during preparation: its text, float64 without_non_finite and encoded, float32.
_CELL_BYTES = 40
# Most columns named in a note.
_NAMED = 8
# Why a column that the user leaves out is left out.
DROPPED = "--drop"


def read_table(
    path: Path,
    target: str | Sequence[str] | None,
    task: str,
    overrules: Overrules = NO_OVERRULES,
    limit_bytes: int | None = None,
    weight: str | None = None,
    plan: SplitPlan = RANDOM,
    unlabelled: str | None = None,
) -> Raw:
    """Read a table and decide what becomes of each column.

    Numbers, dates and truth values in any format are numeric; other text becomes one-hot. Rows
    without a target are left out, as are columns with at most one value, identifiers and free text,
    each with a note.

    Args:
        path: The `.csv` or `.parquet` file.
        target: Column to predict, or several; see `targets_named`.
        task: The task or `auto`; see `read_targets`.
        overrules: What the user says about the columns.
        limit_bytes: Memory limit; None: free memory of the machine.
        weight: Column of the rows' weights, which is no feature.
        plan: How rows become parts; its files exist.
        unlabelled: `keep`: training rows without a target are kept aside; else they are left out.

    Raises:
        RequestError: The file, a column, the target or an overrule cannot be used.
    """
    files = TableFiles.of(path, {part: Path(name) for part, name in plan.files.items()})
    rows, names = files.outline()
    if target is None:
        raise RequestError(f"no target for {path.name}", "--target COLUMN", _known(names))
    targets = targets_named(target, names, path.name)
    target_name = named(targets)
    overrules = overrules.resolved(names, targets, path.name)
    plan = columns_named(plan, names, targets, path.name)
    check_memory(rows * len(names) * _CELL_BYTES, str(path), limit_bytes)
    frame, parts, place = files.read()
    frame, words = emptied(frame, targets)
    held = complete_rows(frame, targets)
    aside = held & False
    if unlabelled == KEEP:
        aside = rows_to_keep(frame, held, parts, plan.part)
        if not aside.any():
            held_by = f"every row of {path.name} that is trained on has a value of {target_name}"
            raise nothing_to_keep(path.name, held_by)
    warnings = [*files.notes(), *missing_notes(words), *sentences(held, aside, target_name)]
    every_row, unlabelled_rows = frame[held | aside], frame.index[aside]
    frame, parts = frame[held], parts if parts is None else parts[held]
    if not len(frame):
        raise RequestError(f"{path.name} has no rows with a value of {target_name}", "rows")
    division = divide(frame, parts, plan, path.name, place)
    for part in files.paths:
        if part not in division.given:
            raise RequestError(
                f"{files.paths[part].name} has no rows with a value of {target_name}", "rows"
            )
    if weight is not None:
        weight = weight_named(weight, names, targets, path.name)
    sources = [
        Source(
            every_row[name],
            name,
            path.name,
            place,
            typed=files.table.typed,
            kind=overrules.kind_of(name),
            kept=name in overrules.keep,
            taken=tuple(frame.columns),
        )
        for name in frame.columns
        if name not in (*targets, weight)
    ]
    left = {**dict.fromkeys(overrules.drop, DROPPED), **roles_of(plan, overrules)}
    columns, kept, comma = _read(sources, left, division.keys, plan.time, warnings)
    learnt = read_targets(frame, targets, task, place, comma)
    weights = None
    if weight is not None:
        weights = read_weights(frame[weight], weight, place, comma)
        place_of = [name for name in frame.columns if name not in targets].index(weight)
        columns.insert(place_of, described(weight, weights.values))
    check_learnt(learnt.y, learnt.classes, division.parts)
    if not kept:
        raise RequestError(
            f"{path.name} has no usable column beside {target_name}",
            "features",
            "--keep COLUMN uses one that is left out" if columns else "",
        )
    made = {name: values for feature in kept for name, values in feature.values.items()}
    spellings = {name: how for feature in kept for name, how in feature.spellings.items()}
    text = tuple(name for feature in kept if not feature.is_number for name in feature.values)
    numeric = tuple(name for name in made if name not in text)
    origins = {
        name: feature.column.name
        for feature in kept
        for name in feature.values
        if name != feature.column.name
    }
    python = python_of(
        files.python(),
        targets,
        learnt.python,
        (numeric, text),
        spellings,
        origins,
        weights.python if weights else "",
        division.python,
        division.given,
        emptying(words),
        setting_aside(targets, bool(plan.files), plan.part) if aside.any() else ((), (), ()),
    )
    features = _frame(every_row.index, made, (*numeric, *text))
    everything = Part(features.loc[frame.index], learnt.y, weights and weights.values)
    return Raw(
        {part: everything.of(division.parts == part) for part in division.given},
        python=python,
        plan=plan,
        keys=division.train,
        task=learnt.task,
        target=targets[0] if len(targets) == 1 else targets,
        classes=learnt.classes,
        labels=learnt.labels,
        columns=(*numeric, *text),
        numeric=numeric,
        text=text,
        spellings=spellings,
        origins=origins,
        unlabelled=features.loc[unlabelled_rows] if aside.any() else None,
        weight=weight,
        described=tuple(columns),
        overrules=overrules,
        warnings=(
            *warnings,
            *learnt.warnings,
            *(warning for feature in kept for warning in feature.warnings),
            *_left_out(columns),
        ),
        notes=(*learnt.notes, *(weights.notes if weights else ()), *_notes(kept)),
    )


def _read(
    sources: Sequence[Source],
    left: Mapping[str, str],
    keys: SplitKeys,
    time: str | None,
    warnings: list[str],
) -> tuple[list[Column], list[Feature], bool]:
    """Return what becomes of each column, those used, and whether they have decimal commas.

    Row numbers that are the only features add a warning.

    Args:
        sources: The columns.
        left: Columns that are left out, with the reason.
        keys: The rows' times.
        time: The column of these times, or None.
        warnings: Gets the warning.
    """
    taken = [s for s in sources if s.name not in left]
    features = {s.name: read_feature(s) for s in taken}
    comma = any(how.decimal == "," for f in features.values() for how in f.spellings.values())
    if comma:  # then 1.234 means something else
        again = [replace(s, comma=True) for s in taken if _has_points(s)]
        features |= {s.name: read_feature(s) for s in again}
    for source in taken:
        if source.name == time:
            features[source.name] = without_progress(features[source.name], keys, source.kept)
    if not any(feature.column.used for feature in features.values()):
        # Row numbers are used if there is nothing else, but not names.
        alone = [
            name
            for name, feature in features.items()
            if feature.column.kind == "identifier" and feature.is_number and name != time
        ]
        for name in alone:
            column = replace(features[name].column, used=True, why="it may be a row number")
            features[name] = replace(features[name], column=column)
        if alone:
            warnings.append(
                f"Column(s) {_list(alone)} may be row numbers, but are the only features."
            )
    columns = [
        features[s.name].column if s.name in features else _dropped(s, left[s.name])
        for s in sources
    ]
    return columns, [feature for feature in features.values() if feature.column.used], comma


def _has_points(source: Source) -> bool:
    """Tell whether a column has texts with a point."""
    cells: Any = source.cells
    return cells.dtype.kind not in "biufcmM" and any("." in str(text) for text in cells.unique())


def _dropped(source: Source, why: str) -> Column:
    """Return the description of a column that is left out, even if it cannot be read."""
    try:
        column = read_feature(source).column
    except RequestError:
        column = Column(source.name, "text", float(source.cells.isna().mean()), 0, False, "")
    return replace(column, used=False, why=why)


def _left_out(columns: Sequence[Column]) -> list[str]:
    """Return a sentence on each reason for which columns are left out, except a user's flag."""
    rest = [
        column
        for column in columns
        if not column.used and column.why[:2] != "--" and column.why != WEIGHT
    ]
    reasons = {
        "hold at most one value and are left out.": [c for c in rest if c.is_constant],
        "have a distinct value in every row, or nearly so, as identifiers do, and are left out.": [
            c for c in rest if c.kind == "identifier" and not c.is_constant
        ],
        "hold free text and are left out.": [
            c for c in rest if c.kind == "text" and not c.is_constant
        ],
    }
    return [
        f"Column(s) {_list([c.name for c in found])} {why}"
        for why, found in reasons.items()
        if found
    ]


def _notes(kept: Sequence[Feature]) -> list[str]:
    """Return notes about the features, with one sentence for all empty cells."""
    notes = [note for feature in kept for note in feature.notes]
    empty = [f"{shown(f.column.name)} ({f.empty})" for f in kept if f.empty]
    if empty:
        more = f" and {len(empty) - _NAMED} more column(s)" if len(empty) > _NAMED else ""
        notes.append(f"Empty cells are read as missing in {', '.join(empty[:_NAMED])}{more}.")
    return notes


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(shown, names))


def _frame(index: Any, made: Mapping[str, Any], names: Sequence[str]) -> pd.DataFrame:
    """Return the columns for the encoder: float64 with NaN, then texts."""
    import pandas as pd

    columns = [pd.Series(made[name], index=index, name=name) for name in names]
    return pd.concat(columns, axis=1)


def _known(names: Sequence[str]) -> str:
    shown_names = ", ".join(" ".join(name.split()) for name in names[:12])
    return f"columns: {shown_names}" + (f" and {len(names) - 12} more" if len(names) > 12 else "")
