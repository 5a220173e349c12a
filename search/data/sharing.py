"""A study's data in the artifact store, for machines that do not have it.

The shared file holds the data as loaded: one `.npz` of plain arrays, named by its fingerprint,
regardless of the source (a named set, a folder, a table). Beside `x_…` and `y_…` of each part it
holds a JSON document about them; text columns of a table are stored as categories and their numbers
by row. Nothing in it is unpickled, and its fingerprint is verified before use.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trainstack.search.artifacts import Store
from trainstack.search.data.dataset import Dataset, Part
from trainstack.search.data.load import load
from trainstack.search.data.npz import DAMAGED, read_headers
from trainstack.search.data.overrules import Overrules
from trainstack.search.data.raw import COPIES_BYTES, check_memory
from trainstack.search.data.spelling import Spelling
from trainstack.search.data.split_keys import SplitKeys
from trainstack.search.data.split_plan import SplitPlan
from trainstack.search.data.unlabelled import DROP, KEEP
from trainstack.search.spec import DataSpec
from trainstack.spaces.errors import RequestError, StorageAwayError

_HEADER = "said"
# Fetched data unused for this time is removed when other data is fetched.
KEPT_SECONDS = 30 * 24 * 3600.0


def share(dataset: Dataset, artifacts: Store) -> str:
    """Write data into the artifact store, for workers that do not have it.

    Args:
        dataset: The loaded data.
        artifacts: A store that those workers can reach.

    Returns:
        Its name in the store. Existing data is overwritten, in case it is damaged.

    Raises:
        OSError: As `Store.write`.
        RequestError: The data cannot be stored without loss.
    """
    arrays = packed(dataset)
    again = unpacked(arrays, dataset.source, dataset.target, "")
    if again.fingerprint != dataset.fingerprint:
        raise RequestError(
            f"{dataset.source} cannot be shared: a category ends in a zero character",
            "text",
            "give every machine the file instead",
        )
    name = name_of(dataset.fingerprint)
    artifacts.write(name, lambda file: np.savez_compressed(file, **dict[str, Any](arrays)))
    return name


def name_of(fingerprint: str) -> str:
    """Return the name of shared data in the artifact store."""
    return f"data/{fingerprint}.npz"


def obtain(data: DataSpec, artifacts: Callable[[], Store], cache: Path) -> Dataset:
    """Return a study's data from this machine, or from the artifact store if it was shared.

    Args:
        data: The study's description of its data.
        artifacts: Opens the artifact store; not called if the data is on this machine.
        cache: This machine's folder of shared data, to which each set is fetched once.

    Raises:
        RequestError: The data is neither here nor shared, or differs from the study's.
        StorageAwayError: The artifact store does not answer.
    """
    try:
        found = load(
            *(data.source, data.target, data.task, Overrules.from_json(data.overrules)),
            transform=data.target_transform,
            weight=data.weight,
            plan=SplitPlan.from_json(data.split),
            unlabelled=KEEP if data.unlabelled else DROP,
        )
        if found.fingerprint == data.fingerprint:
            return found
        missing = RequestError(
            f"data {data.source!r} has another fingerprint: {data.changed(found.describe())}",
            "the data with which the study was launched",
            "copy the same file to this machine",
        )
    except RequestError as error:
        missing = error
    path = cache / f"{data.fingerprint}.npz"
    with _alone(path):
        if not path.is_file():
            _tidy(cache)
            if not _fetch(name_of(data.fingerprint), artifacts(), path):
                hint = f"{missing.hint}, or " if missing.hint else ""
                raise RequestError(
                    missing.problem, missing.expected, f"{hint}launch with --share-data"
                )
        try:
            os.utime(path)  # mark as used
            plan = SplitPlan.from_json(data.split)
            return replace(_read(path, data), transform=data.target_transform, plan=plan)
        except RequestError:
            path.unlink()  # the next attempt fetches it again
            raise


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock, so that one of the machine's workers fetches and the others wait."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("a") as lock:
            with contextlib.suppress(ImportError):  # on Windows each worker fetches the file
                import fcntl

                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise RequestError(
            f"no shared data in {path.parent} ({error.strerror or error})",
            "a writable folder with space for the data",
            "set TRAINSTACK_HOME",
        ) from None


def _tidy(cache: Path) -> None:
    """Remove fetched data that has not been used for long."""
    for path in cache.glob("*.npz"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()
                path.with_suffix(".lock").unlink()


def _fetch(name: str, artifacts: Store, path: Path) -> bool:
    """Copy a file from the store atomically; return whether it exists."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with contextlib.ExitStack() as opened:
            try:
                file = opened.enter_context(artifacts.read(name))
            except FileNotFoundError:
                return False
            except OSError as error:
                raise StorageAwayError(f"no answer from the artifact store ({error})") from None
            with part.open("wb") as copy:
                shutil.copyfileobj(file, copy)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return True


def _read(path: Path, data: DataSpec) -> Dataset:
    """Read fetched data and check that it is the study's.

    Raises:
        RequestError: The file is damaged, or holds other data.
    """
    try:
        headers = read_headers(path)
        sizes = [math.prod(s) * (kind.itemsize + COPIES_BYTES) for kind, s in headers.values()]
        check_memory(sum(sizes), f"the shared data {path.name}", None)
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        found = unpacked(arrays, data.source, data.target, str(path))
    except (*DAMAGED, KeyError, TypeError, IndexError) as error:
        raise _damaged(path, f"cannot be read ({error})", data) from None
    if found.fingerprint != data.fingerprint or found.task != data.task:
        raise _damaged(path, f"has fingerprint {found.fingerprint}", data)
    return found


def _damaged(path: Path, what: str, data: DataSpec) -> RequestError:
    return RequestError(
        f"the shared data {name_of(data.fingerprint)} {what}",
        f"the study's {data.fingerprint}",
        "launch again with --share-data",
    )


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
