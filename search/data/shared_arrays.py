"""A data set as plain arrays, and back: what the file of shared data holds.

The data is as loaded. Beside `x_…` and `y_…` of each part there is a JSON document about them; text
columns of a table are stored as categories and their numbers by row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from trainstack.search.data.dataset import Dataset
from trainstack.search.data.part import Part
from trainstack.search.data.spelling import Spelling
from trainstack.search.data.split_keys import SplitKeys

# Name of the array with the bytes of the JSON document; files of earlier versions have it too.
_HEADER = "said"


def packed(dataset: Dataset) -> dict[str, np.ndarray]:
    """Return a data set as plain arrays by name."""
    header = {
        "task": dataset.task,
        "classes": dataset.classes,
        "labels": dataset.labels,
        "columns": dataset.columns,
        "numeric": dataset.numeric,
        "text": dataset.text,
        "image_shape": dataset.image_shape,
        "named_inputs": dataset.named_inputs,
        "weight": dataset.weight,
        "spellings": {name: spelling.to_json() for name, spelling in dataset.spellings.items()},
        "origins": dict(dataset.origins),
        "dated": dataset.keys.dated,
        "gap": [dataset.keys.gap_rows, dataset.keys.gap_time],
    }
    arrays: dict[str, np.ndarray] = {_HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)}
    arrays |= dataset.keys.arrays()
    held = {name: part.x for name, part in dataset.parts.items()}
    if dataset.unlabelled is not None:
        held["unlabelled"] = dataset.unlabelled
    known = [sorted({v for x in held.values() for v in x[c]}) for c in dataset.text]
    for place, values in enumerate(known):
        arrays[f"categories_{place}"] = np.array(values, dtype=np.str_)
    for name, part in dataset.parts.items():
        arrays[f"y_{name}"] = part.y
        if part.w is not None:
            arrays[f"w_{name}"] = part.w
    for name, x in held.items():
        if not dataset.is_table:
            arrays[f"x_{name}"] = x
            continue
        arrays[f"x_{name}"] = x[list(dataset.numeric)].to_numpy(np.float64)
        for place, (column, values) in enumerate(zip(dataset.text, known, strict=True)):
            numbers = np.searchsorted(np.array(values, object), x[column].to_numpy(object))
            arrays[column_name(name, place)] = numbers.astype(np.int32)
    return arrays


def column_name(part: str, place: int) -> str:
    """Return the name of the array with each row's category in a text column."""
    return f"text_{part}_{place}"


def unpacked(
    arrays: Mapping[str, np.ndarray],
    source: str,
    target: str | tuple[str, ...] | None,
    path: str,
) -> Dataset:
    """Return the data set from arrays made by `packed`.

    Args:
        arrays: Arrays by name.
        source: The study's name of the data.
        target: Column to predict, or several, for tables.
        path: Path of the arrays, for the generated code that loads them.

    Raises:
        KeyError, IndexError, TypeError, ValueError: The arrays were not made by `packed`.
    """
    header = json.loads(arrays[_HEADER].tobytes())
    task, shape = str(header["task"]), header["image_shape"]
    classes, columns, numeric, text = (
        tuple(map(str, header[key])) for key in ("classes", "columns", "numeric", "text")
    )
    held: dict[str, Any] = {}
    for part in ("train", "valid", "test", "unlabelled"):
        if f"y_{part}" not in arrays and (part != "unlabelled" or "x_unlabelled" not in arrays):
            continue
        held[part] = arrays[f"x_{part}"]
        if numeric or text:
            categories = [
                arrays[f"categories_{place}"][arrays[column_name(part, place)]]
                for place in range(len(text))
            ]
            held[part] = _frame(held[part], numeric, text, categories)
    unlabelled = held.pop("unlabelled", None)
    parts = {p: Part(x, arrays[f"y_{p}"], arrays.get(f"w_{p}")) for p, x in held.items()}
    return Dataset(
        source=source,
        target=target,
        task=task,
        parts=parts,
        classes=classes,
        labels=tuple((str(off), str(on)) for off, on in header.get("labels", ())),
        columns=columns,
        numeric=numeric,
        text=text,
        spellings={name: Spelling.from_json(d) for name, d in header.get("spellings", {}).items()},
        origins={str(name): str(of) for name, of in header.get("origins", {}).items()},
        image_shape=None if shape is None else tuple(map(int, shape)),
        unlabelled=unlabelled,
        named_inputs=tuple((str(n), tuple(s)) for n, s in header.get("named_inputs", ())),
        python=_python(path, arrays, list(parts), numeric, text),
        weight=header.get("weight"),
        keys=SplitKeys(
            arrays.get("groups"),
            arrays.get("times"),
            bool(header.get("dated")),
            *header.get("gap", ()),
        ),
    )


def _frame(
    x: np.ndarray, numeric: tuple[str, ...], text: tuple[str, ...], categories: list[np.ndarray]
) -> Any:
    """Return a tidy frame as `read_table` does: float64 columns, then text."""
    import pandas as pd

    # Positions first: a column may be named like the position of another one.
    labels = [pd.Series(values.astype(object)).map(str) for values in categories]
    frame = pd.concat([pd.DataFrame(x), *labels], axis=1)
    frame.columns = pd.Index([*numeric, *text])
    return frame


def _python(
    path: str,
    arrays: Mapping[str, np.ndarray],
    parts: list[str],
    numeric: tuple[str, ...],
    text: tuple[str, ...],
) -> tuple[str, ...]:
    """Return lines of plain Python that load the same data; see `Dataset.python`."""
    table = bool(numeric or text)
    lines = ["import numpy as np", *(["import pandas as pd"] if table else []), ""]
    lines += [f"archive = np.load({path!r})  # the data that the study shared"]
    plain = [f"{axis}_{part}" for part in parts for axis in ("wy" if table else "wxy")]
    aside = ["unlabelled"] if "x_unlabelled" in arrays else []
    plain += [] if table else [f"x_{part}" for part in aside]
    names = [name for name in (*plain, "groups", "times") if name in arrays]
    lines += [f'{name} = archive["{name}"]' for name in names]
    if not table:
        return tuple(lines)
    lines += [f"numeric = {list(numeric)!r}", f"text = {list(text)!r}"]
    for part in (*parts, *aside):
        lines += [
            f'x_{part} = pd.DataFrame(archive["x_{part}"], columns=numeric)',
            "for place, name in enumerate(text):",
            '    categories = archive[f"categories_{place}"].astype(object)',
            f'    x_{part}[name] = categories[archive[f"text_{part}_{{place}}"]]',
            f"    x_{part}[name] = x_{part}[name].map(str)",
        ]
    held = ", ".join(f"x_{part}" for part in parts)
    rows = held if len(parts) == 1 else f"pd.concat([{held}])"
    lines += [f"has_missing = [name for name in numeric if {rows}[name].isna().any()]"]
    return tuple(lines)
