"""Lines of plain Python that read a table as the product does."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from trainstack.search.data.columns import MISSING, as_text
from trainstack.search.data.spelling import Spelling
from trainstack.search.data.text_values import bare, moment, since, to_numbers


def python_of(
    read: Sequence[str],
    targets: Sequence[str],
    target_python: str,
    columns: tuple[Sequence[str], Sequence[str]],
    spellings: Mapping[str, Spelling],
    origins: Mapping[str, str],
    weights: str = "",
    division: Sequence[str] = (),
    given: Sequence[str] = ("train",),
    emptying: Sequence[str] = (),
    aside: tuple[Sequence[str], Sequence[str], Sequence[str]] = ((), (), ()),
) -> tuple[str, ...]:
    """Return lines of Python that read the same table, with the functions they call.

    Args:
        read: Lines that read the file, or several, as `frame`.
        targets: Columns to predict.
        target_python: Expression that computes the targets from the frame.
        columns: The numeric columns and those of categories.
        spellings: How their texts are read, by name.
        origins: Columns of the file by the names of the columns made of them, where these differ.
        weights: Expression that computes the rows' weights from the frame; empty: none.
        division: Lines that define `part`, `groups` and `times`, where the rows have them.
        given: The parts that have rows.
        emptying: Lines that remove words for missing values from the targets.
        aside: Lines that set rows without a target aside; see `unlabelled.setting_aside`.
    """
    numeric, text = columns
    spelt = {name: spellings[name].arguments() for name in numeric if name in spellings}
    absent = {name: list(spellings[name].missing) for name in text if spellings[name].missing}
    from_text = bool(spelt) or "to_numbers" in "".join((target_python, weights, *division))
    functions = [moment, since, bare, to_numbers] if from_text else []
    lines = [line for f in (as_text, *functions) for line in source(f)]
    cells = "frame[origins.get(name, name)]" if origins else "frame[name]"
    column = f'{cells}.astype("float64")'
    texts = f"to_numbers(as_text({cells}), **spelt[name])"
    if len(spelt) == len(numeric):  # CSV: all cells are texts, mostly plain numbers
        spelt = {name: options for name, options in spelt.items() if options}
        column = texts.replace("spelt[name]", "spelt.get(name, {})")
    elif spelt:
        column = f"{texts} if name in spelt else {column}"
    missing = '["", *absent.get(name, [])]' if absent else '[""]'
    return (
        *(("import math", "from datetime import datetime, timedelta") if from_text else ()),
        "import numpy as np",
        "import pandas as pd",
        "",
        *lines,
        *read,
        "frame.columns = frame.columns.map(str)",
        *emptying,
        *aside[0],
        *(f'frame = frame[as_text(frame[{target!r}]) != ""]' for target in targets),
        *division,
        f"y_train = {target_python}",
        *((f"w_train = {weights}",) if weights else ()),
        *aside[1],
        f"numeric = {list(numeric)!r}",
        f"text = {list(text)!r}",
        *((f"origins = {dict(origins)!r}",) if origins else ()),
        *((f"spelt = {spelt!r}",) if "spelt" in column else ()),
        *((f"absent = {absent!r}",) if absent else ()),
        "columns = {}",
        "for name in numeric:",
        f"    columns[name] = {column}",
        "for name in text:",
        "    labels = as_text(frame[name])",
        f"    labels = labels.where(~labels.isin({missing}), {MISSING!r})",
        "    columns[name] = labels.astype(object)",
        "x_train = pd.DataFrame(columns, index=frame.index)",
        *aside[2],
        "has_missing = [name for name in numeric if x_train[name].isna().any()]",
        *_given_parts(given, ["x", "y", *("w" if weights else "")], division),
    )


def _given_parts(given: Sequence[str], axes: Sequence[str], division: Sequence[str]) -> list[str]:
    """Return lines that take the rows of given parts out of the training rows."""
    if len(given) == 1:
        return []
    found = []
    for part in [*(part for part in given if part != "train"), "train"]:
        found += [f'{axis}_{part} = {axis}_train[part == "{part}"]' for axis in axes]
    keys = [line.split(" = ")[0] for line in division]
    return found + [f'{key} = {key}[part == "train"]' for key in keys if key != "part"]


def source(function: Any) -> list[str]:
    """Return a function's source without annotations, which an exported script does not need."""
    text = inspect.getsource(function)
    for kind in ("Any", "np.ndarray"):
        text = text.replace(f": {kind}", "").replace(f" -> {kind}", "")
    return ["", *text.rstrip().splitlines(), ""]
