"""NumPy archives with `x_train`, `y_train` and optionally the parts `valid` and `test`.

Several inputs of a network are `x_train_NAME`, and likewise in the other parts.
Labels are numbers or texts. Several targets are columns of `y`, [N, T]. The rows' weights are
`w_train`, `w_valid` and `w_test`, for all parts or for none. Rows without a target are
`x_unlabelled`.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trainstack.search.data.part import Part
from trainstack.search.data.raw import COPIES_BYTES, Raw, check_memory
from trainstack.search.data.several_inputs import (
    column_names,
    input_names,
    python_of,
    side_by_side,
)
from trainstack.search.data.unlabelled import DROP, KEEP, nothing_to_keep
from trainstack.search.data.weighting import check_weights
from trainstack.search.metrics.table import CLASSIFICATION
from trainstack.spaces.errors import RequestError, nearest

# Name of an array → its type and shape.
Headers = Mapping[str, tuple[np.dtype, tuple[int, ...]]]

_PARTS = ("train", "valid", "test")
_NAMES = tuple(f"{axis}_{part}" for part in _PARTS for axis in "xyw")
UNLABELLED = "x_unlabelled"
# Exceptions of NumPy and zipfile for truncated, damaged or invalid archives.
DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, RuntimeError)
_EXPECTED = "x_train and y_train, and optionally x_valid, y_valid, x_test, y_test, w_train …"


def read_npz(path: Path, limit_bytes: int | None = None, unlabelled: str | None = None) -> Raw:
    """Read the arrays of an archive.

    Args:
        path: The `.npz` file.
        limit_bytes: Memory limit; None: free memory of the machine.
        unlabelled: `drop`: rows without a target are left out; `keep`: there must be some.

    Raises:
        RequestError: The file is not an archive of plain arrays, an array is missing or misspelt,
            it holds pickled objects, or it is too large.
    """
    try:
        headers = read_headers(path)
    except (*DAMAGED, OSError):
        raise RequestError(f"{path} is not an .npz archive", "what numpy.savez writes") from None
    known = (*_NAMES, UNLABELLED)
    kept = UNLABELLED in headers and unlabelled != DROP
    if unlabelled == KEEP and not kept:
        raise nothing_to_keep(str(path), f"{path} has no {UNLABELLED}")
    inputs = input_names(tuple(headers))
    if inputs:
        return _several(path, headers, inputs, limit_bytes)
    for name in headers:
        if name[:2] in ("x_", "y_", "w_", "X_", "Y_", "W_") and name not in known:
            raise RequestError(f"{path} holds '{name}'", _EXPECTED, nearest(name, known))
    names = [name for name in _NAMES if name in headers]
    _check_names(path, headers, names)
    read = [*names, UNLABELLED] if kept else names
    arrays = _arrays(path, headers, read, limit_bytes)
    arrays, classes, coding = _coded(arrays)
    ignored = sorted(set(headers) - set(read))
    return Raw(
        {
            name[2:]: Part(arrays[name], arrays[f"y_{name[2:]}"], _weights(arrays, name[2:]))
            for name in names
            if name[0] == "x"
        },
        python=(
            *_opened(path),
            *(f'{name} = archive["{name}"]' for name in read),
            *coding,
        ),
        task=CLASSIFICATION if classes else "auto",
        classes=classes,
        unlabelled=arrays.get(UNLABELLED),
        notes=(f"The archive's {', '.join(ignored)} is not used.",) if ignored else (),
    )


def _several(path: Path, headers: Headers, inputs: tuple[str, ...], limit: int | None) -> Raw:
    """Read an archive with several inputs, whose rows are put side by side."""
    known = [f"x_{part}_{name}" for part in _PARTS for name in inputs]
    known += [name for name in _NAMES if name[0] != "x"]
    for name in headers:
        if name[:2] in ("x_", "y_", "w_") and name not in known:
            raise RequestError(
                f"{path} holds '{name}' beside several inputs",
                f"x_PART_NAME of {', '.join(inputs)}, and y_PART",
                nearest(name, known),
            )
    given = [part for part in _PARTS if any(f"x_{part}_{name}" in headers for name in inputs)]
    held = [name for name in _NAMES if name in headers]
    _check_names(path, headers, [*held, *(f"x_{part}" for part in given)])
    names = [name for name in known if name in headers]
    arrays, classes, coding = _coded(_arrays(path, headers, names, limit))
    parts, lines, shapes = {}, [], {}
    for part in given:
        x, shapes[part] = side_by_side(arrays, part, inputs)
        parts[part] = Part(x, arrays[f"y_{part}"], _weights(arrays, part))
        lines += [python_of(part, inputs), f'y_{part} = archive["y_{part}"]']
        if f"w_{part}" in arrays:
            lines.append(f'w_{part} = archive["w_{part}"]')
        if shapes[part] != shapes["train"]:
            raise RequestError(f"inputs of {part} have other shapes than those of train")
    listed = ", ".join(f"{name} {' × '.join(map(str, s))}" for name, s in shapes["train"])
    return Raw(
        parts,
        python=(*_opened(path), *lines, *coding),
        task=CLASSIFICATION if classes else "auto",
        classes=classes,
        columns=column_names(shapes["train"]),
        inputs=shapes["train"],
        notes=(f"Its inputs are side by side in a row: {listed}.",),
    )


def _coded(
    arrays: dict[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], tuple[str, ...], tuple[str, ...]]:
    """Return arrays with labels in place of texts, the classes, and the Python that does the same.

    Without texts nothing changes, and both are empty.
    """
    labels = [name for name in arrays if name[0] == "y"]
    if not all(arrays[name].dtype.kind == "U" and arrays[name].ndim == 1 for name in labels):
        return arrays, (), ()
    classes = np.unique(np.concatenate([arrays[name] for name in labels]))
    python = (
        f"classes = np.unique(np.concatenate([{', '.join(labels)}]))",
        *(f"{name} = np.searchsorted(classes, {name})" for name in labels),
    )
    coded = {name: np.searchsorted(classes, arrays[name]) for name in labels}
    return arrays | coded, tuple(classes.tolist()), python


def _opened(path: Path) -> tuple[str, ...]:
    return "import numpy as np", "", f"archive = np.load({str(path)!r})"


def _check_names(path: Path, headers: Headers, names: Sequence[str]) -> None:
    """Reject parts that lack an array, and weights of some parts only."""
    for part in ("train", "valid", "test"):
        lacking = [n for n in (f"x_{part}", f"y_{part}") if n not in names]
        if len(lacking) == 1 or (lacking and part == "train"):
            held = ", ".join(sorted(headers)) or "nothing"
            raise RequestError(f"{path} lacks {' and '.join(lacking)} (holds {held})", _EXPECTED)
    weighted = {name[2:] for name in names if name[0] == "w"}
    if weighted and (odd := weighted ^ {name[2:] for name in names if name[0] == "x"}):
        raise RequestError(
            f"{path} has weights of some parts only", f"w_{min(odd)} as well, or no weights"
        )


def _arrays(
    path: Path, headers: Headers, names: Sequence[str], limit_bytes: int | None
) -> dict[str, np.ndarray]:
    """Return an archive's arrays after checking their types and sizes."""
    for name in names:
        if headers[name][0].hasobject:
            raise RequestError(
                f"{name} in {path} holds pickled Python objects, which could run code",
                "plain numbers",
                "save it with x.astype('float32')",
            )
    sizes = [math.prod(shape) * (kind.itemsize + COPIES_BYTES) for kind, shape in headers.values()]
    check_memory(sum(sizes), str(path), limit_bytes)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except (*DAMAGED, OSError) as error:
        raise RequestError(f"{path} is damaged ({error})", hint="save it again") from None


def _weights(arrays: Mapping[str, np.ndarray], part: str) -> np.ndarray | None:
    """Return a part's weights, checked; None if the archive has none."""
    weights = arrays.get(f"w_{part}")
    rows = len(arrays[f"y_{part}"])
    return None if weights is None else weights_of_rows(weights, rows, f"w_{part}")


def weights_of_rows(weights: np.ndarray, rows: int, label: str) -> np.ndarray:
    """Return the weights that an archive holds, float64 [N].

    Args:
        weights: The array.
        rows: Number N of the rows.
        label: Names it in messages.

    Raises:
        RequestError: They are not N numbers, or as `check_weights`.
    """
    if weights.dtype.kind not in "biuf" or weights.size != rows:
        shown = f"{weights.dtype} values of shape {weights.shape}"
        raise RequestError(f"{label} holds {shown}", f"{rows} numbers, one per row")
    weights = weights.reshape(-1).astype(np.float64)
    check_weights(weights, label)
    return weights


def read_headers(path: Path) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Return each array's type and shape from its header, without loading the data."""
    headers = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, _, kind = read(file)
            headers[member.removesuffix(".npy")] = (kind, shape)
    return headers
