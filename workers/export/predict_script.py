"""The script beside an exported table model, which predicts from raw rows."""

from __future__ import annotations

import inspect
from textwrap import indent
from typing import Any

from trainstack.search.data.columns import MISSING, as_text
from trainstack.search.data.spelling import moment, number_pattern, to_number
from trainstack.workers.export.code_parts import BACKEND, SETTINGS
from trainstack.workers.export.code_style import fit, quoted

_SCRIPT = '''\
"""Predicts {what} for the rows of a table (.csv or .parquet).

    python {{this file}} rows.csv > predictions.csv

Columns are read as in training: cells in another format are refused, and values unknown in
training are counted on standard error. The model and its encoder must be beside this file. It needs
Keras, TensorFlow, scikit-learn and pandas.
"""

import csv
import math
import os
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path

{backend}

import joblib
import numpy as np
import pandas as pd

HERE = Path(__file__).resolve()
NAME = HERE.name.removesuffix(".predict.py")
TARGET = {target!r}
NUMERIC = {numeric!r}
TEXT = {text!r}
# Formats of numeric columns that are not plain numbers.
SPELT = {spelt!r}
MISSING = {missing!r}
{classes}

{functions}


def plain(name):
    """Return a column's name with each run of blanks replaced by one."""
    return " ".join(str(name).split())


def read(path):
    """Return the cells of a table: a CSV file's texts by line, or Parquet's columns."""
    if str(path).lower().endswith(".parquet"):
        return pd.read_parquet(path).rename_axis("row")
    needed = {{plain(name) for name in (*NUMERIC, *TEXT)}}
    for delimiter in ",;\\t|":
        rows = cells_of(path, delimiter)
        if rows and needed <= {{plain(name) for name in next(iter(rows.values()))}}:
            break
    else:
        rows = cells_of(path, ",")
    names = rows.pop(min(rows)) if rows else []
    usual = len(next(iter(rows.values()), names))
    for line, row in rows.items():
        if len(row) != usual or usual < len(names) or any(row[len(names) :]):
            raise ValueError(f"line {{line}} has {{len(row)}} cells, the first line {{len(names)}}")
    cells = [row[: len(names)] for row in rows.values()]
    index = pd.Index(list(rows), name="line")
    return pd.DataFrame(cells, columns=names, index=index, dtype=object)


def cells_of(path, delimiter):
    """Return the cells of every line that is not blank, by the line's number."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows, begun, reader = {{}}, 1, csv.reader(file, delimiter=delimiter)
        for row in reader:
            if len(row) > 1 or row == [""] or "".join(row).strip():
                rows[begun] = row
            begun = reader.line_num + 1
    return rows


def numbers(column, name):
    """Return a column's numbers, with NaN for empty cells."""
    spelt = SPELT.get(name, {{}})
    if pd.api.types.is_numeric_dtype(column) and spelt.get("kind") != "date":
        values = column.astype("float64")
    else:
        if pd.api.types.is_datetime64_any_dtype(column) and spelt:
            spelt = {{**spelt, "date_format": "iso"}}
        texts = as_text(column)
        found = {{}}
        for text in texts.unique():
            try:
                found[text] = to_number(text, **spelt)
            except ValueError as error:
                raise ValueError(f"{{place(column, texts == text, name)}}: {{error}}") from None
        values = texts.map(found).astype("float64")
    infinite = np.isinf(values)
    if infinite.any():
        raise ValueError(f"{{place(column, infinite, name)}}: the number is infinite")
    return values


def place(column, chosen, name):
    """Return the position of the first chosen cell."""
    return f"{{column.index.name or 'row'}} {{column.index[chosen][0]}}, column {{plain(name)!r}}"


def labels(column):
    """Return a column's categories as texts; whole numbers have no decimals."""
    if pd.api.types.is_float_dtype(column):
        column = column.map(lambda v: f"{{v:.0f}}" if v == v and v == round(v) else v)
    texts = as_text(column)
    return texts.where(texts != "", MISSING)


def features(frame):
    """Return the model's inputs, [rows, features], for a table with the training columns."""
    known = {{plain(name): name for name in (*NUMERIC, *TEXT)}}
    frame = frame.rename(columns=lambda name: known.get(plain(name), name))
    for name in (*NUMERIC, *TEXT):
        if (count := list(frame.columns).count(name)) != 1:
            raise ValueError(f"expected one column {{plain(name)!r}}, found {{count}}")
    if not len(frame):
        raise ValueError("the table has no rows")
    columns = {{name: numbers(frame[name], name) for name in NUMERIC}}
    columns |= {{name: labels(frame[name]) for name in TEXT}}
    encoder = joblib.load(HERE.with_name(f"{{NAME}}.preprocessing.joblib"))
    say_unknown(columns, encoder)
    return encoder.transform(pd.DataFrame(columns, index=frame.index))


def say_unknown(columns, encoder):
    """Report gaps and values unknown in training on standard error."""
    gaps = next(names for kind, _, names in encoder.transformers_ if kind == "missing")
    for name in NUMERIC:
        if name not in gaps and (count := int(columns[name].isna().sum())):
            say(f"{{plain(name)!r}}: the median fills {{count}} gap(s); training had none")
    known = encoder.named_transformers_["category"].categories_ if TEXT else []
    for name, levels in zip(TEXT, known, strict=True):
        odd = columns[name][~columns[name].isin(list(levels))]
        if len(odd):
            count, first = len(odd), odd.iloc[0]
            say(f"{{plain(name)!r}}: {{count}} value(s) unknown in training, such as {{first!r}}")


def say(message):
    """Print one line on standard error."""
    print(f"{{HERE.name}}:", " ".join(str(message).split()), file=sys.stderr)


def predict(frame):
    """Return {returns}."""
    inputs = features(frame)
    import keras  # slow: errors in the table are reported first

{settings}
    model = keras.models.load_model(HERE.with_name(f"{{NAME}}.keras"))
    # Not model.predict, which would round the inputs to float32.
    parts = [model(inputs[k : k + 1024], training=False) for k in range(0, len(inputs), 1024)]
    outputs = np.concatenate([np.asarray(part) for part in parts])
{body}


def main():
    """Predict for the table named on the command line; return the exit code."""
    if len(sys.argv) != 2:
        say(f"expected one table, as in `python {{HERE.name}} rows.csv > predictions.csv`")
        return 2
    try:
        predictions = predict(read(sys.argv[1]))
    except (OSError, ValueError, csv.Error) as error:
        say(f"{{sys.argv[1]}}: {{error}}")
        return 2
    predictions.to_csv(sys.stdout, index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
'''

_CLASSIFY = """\
    best = [CLASSES[k] for k in outputs.argmax(axis=1)]
    chances = {f"p({name})": outputs[:, k] for k, name in enumerate(CLASSES)}
    return pd.DataFrame({TARGET: best, **chances})"""

_REGRESS = "    return pd.DataFrame({TARGET: outputs[:, 0]})"


def predict_script(dataset: Any) -> str:
    """Write the script that applies a table's preprocessing and the saved model.

    Args:
        dataset: The loaded table.

    Returns:
        A program `NAME.predict.py` that needs only Keras, TensorFlow, scikit-learn and pandas, and
        looks for `NAME.keras` and `NAME.preprocessing.joblib` beside itself. It reads columns in
        the formats of `dataset`. If a file cannot be read so, it prints one line on standard error
        and exits with 2.
    """
    classification = dataset.task == "classification"
    spelt = {name: spelling.arguments() for name, spelling in dataset.spellings.items()}
    text = _SCRIPT.format(
        backend=BACKEND,
        settings=indent(SETTINGS, "    "),
        what="the class" if classification else "the target",
        target=dataset.target,
        numeric=list(dataset.numeric),
        text=list(dataset.text),
        spelt={name: spelt[name] for name in dataset.numeric if spelt.get(name)},
        classes=f"CLASSES = {list(dataset.classes)!r}\n" if classification else "",
        missing=MISSING,
        functions="\n\n".join(map(_source, (as_text, moment, number_pattern, to_number))).strip(),
        returns="the class and each class's probability, one row each"
        if classification
        else "the prediction in the target's unit, one row each",
        body=_CLASSIFY if classification else _REGRESS,
    )
    lines = text.replace("{this file}", "model.predict.py").splitlines()
    return "\n".join(part for line in lines for part in fit(quoted(line))) + "\n"


def _source(function: Any) -> str:
    """Return a function's lines without the annotations that need an import."""
    source = inspect.getsource(function).replace(": Any", "").replace(" -> Any", "")
    return source.replace(" -> Callable[[str], object]", "")
