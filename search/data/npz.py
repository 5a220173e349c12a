"""NumPy archives with `x_train`, `y_train` and optionally the parts `valid` and `test`.

Several targets are columns of `y`, [N, T]. The rows' weights are `w_train`, `w_valid` and `w_test`,
for all parts or for none. Rows without a target are `x_unlabelled`.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trainstack.search.data.dataset import Part
from trainstack.search.data.raw import COPIES_BYTES, Raw, check_memory
from trainstack.search.data.unlabelled import DROP, KEEP, nothing_to_keep
from trainstack.search.data.weighting import check_weights
from trainstack.spaces.errors import RequestError, nearest

_NAMES = tuple(f"{axis}_{part}" for part in ("train", "valid", "test") for axis in "xyw")
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
    for name in headers:
        if name[:2] in ("x_", "y_", "w_", "X_", "Y_", "W_") and name not in known:
            raise RequestError(f"{path} holds '{name}'", _EXPECTED, nearest(name, known))
    names = [name for name in _NAMES if name in headers]
    kept = UNLABELLED in headers and unlabelled != DROP
    if unlabelled == KEEP and not kept:
        raise nothing_to_keep(str(path), f"{path} has no {UNLABELLED}")
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
    read = [*names, UNLABELLED] if kept else names
    for name in read:
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
            arrays = {name: archive[name] for name in read}
    except (*DAMAGED, OSError) as error:
        raise RequestError(f"{path} is damaged ({error})", hint="save it again") from None
    ignored = sorted(set(headers) - set(read))
    return Raw(
        {
            name[2:]: Part(arrays[name], arrays[f"y_{name[2:]}"], _weights(arrays, name[2:]))
            for name in names
            if name[0] == "x"
        },
        python=(
            "import numpy as np",
            "",
            f"archive = np.load({str(path)!r})",
            *(f'{name} = archive["{name}"]' for name in read),
        ),
        unlabelled=arrays.get(UNLABELLED),
        notes=(f"The archive's {', '.join(ignored)} is not used.",) if ignored else (),
    )


def _weights(arrays: Mapping[str, np.ndarray], part: str) -> np.ndarray | None:
    """Return a part's weights, checked; None if the archive has none."""
    weights = arrays.get(f"w_{part}")
    if weights is None:
        return None
    label, rows = f"w_{part}", len(arrays[f"y_{part}"])
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
