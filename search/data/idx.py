"""Folders of IDX files, the format of MNIST and similar data sets.

Reference: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits" (1998).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from trainstack.search.data.part import Part
from trainstack.search.data.raw import COPIES_BYTES, Raw, check_memory
from trainstack.spaces.errors import RequestError

# The third byte of a file encodes the type of its numbers, which are big-endian.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_STEMS = {"train": "train", "test": "t10k"}

_PYTHON = """\
def read_idx(stem):
    path = next(p for p in (folder / stem, folder / f"{stem}.gz") if p.exists())
    content = path.read_bytes()
    if content[:2] == b"\\x1f\\x8b":
        content = gzip.decompress(content)
    kinds = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
    kind, dimensions = np.dtype(kinds[content[2]]), content[3]
    shape = np.frombuffer(content, ">u4", dimensions, 4)
    numbers = np.frombuffer(content, kind, offset=4 + 4 * dimensions)
    return numbers.reshape(shape).astype(kind.newbyteorder("="))"""


def is_idx_folder(folder: Path) -> bool:
    """Tell whether a folder holds the training images under their standard name."""
    return _find(folder, "train-images-idx3-ubyte") is not None


def read_folder(folder: Path, limit_bytes: int | None = None) -> Raw:
    """Read `train-images-idx3-ubyte[.gz]`, its labels and, if present, the `t10k-` files.

    Args:
        folder: Folder of the files.
        limit_bytes: Memory limit; None: free memory of the machine.

    Raises:
        RequestError: A file is missing, truncated or not an IDX file, or the data is too large.
    """
    found: dict[str, tuple[Path, Path]] = {}
    for part, stem in _STEMS.items():
        images = _find(folder, f"{stem}-images-idx3-ubyte")
        labels = _find(folder, f"{stem}-labels-idx1-ubyte")
        if part == "train" and images is None:
            raise RequestError(
                f"{folder} holds no IDX files",
                "train-images-idx3-ubyte and train-labels-idx1-ubyte, plain or .gz",
                "or give the path of an .npz, .csv or .parquet file",
            )
        if images is None and labels is None:
            continue
        if images is None or labels is None:
            lacking = "images" if images is None else "labels"
            raise RequestError(f"{folder} lacks {stem}-{lacking}", "images and labels of each part")
        found[part] = (images, labels)
    headers = [read_header(path) for pair in found.values() for path in pair]
    needed = sum(math.prod(shape) * (kind.itemsize + COPIES_BYTES) for kind, shape in headers)
    check_memory(needed, str(folder), limit_bytes)
    lines = ["import gzip", "from pathlib import Path", "", "import numpy as np", ""]
    lines += [f"folder = Path({str(folder)!r})", "", "", *_PYTHON.splitlines(), "", ""]
    for part in found:
        stem = _STEMS[part]
        lines += [f'x_{part} = read_idx("{stem}-images-idx3-ubyte")']
        lines += [f'y_{part} = read_idx("{stem}-labels-idx1-ubyte")']
    return Raw(
        {
            part: Part(read_idx(images), read_idx(labels))
            for part, (images, labels) in found.items()
        },
        python=tuple(lines),
        task="classification",
    )


def read_header(path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    """Return type and shape from the header of an IDX file."""
    with _open(path) as file:
        return _header(file, path)


def read_idx(path: Path) -> np.ndarray:
    """Return the array in one IDX file, in this machine's byte order.

    Raises:
        RequestError: The file is empty, truncated, or not an IDX file.
    """
    with _open(path) as file:
        kind, shape = _header(file, path)
        content = _read(file, path, -1)
    if len(content) != math.prod(shape) * kind.itemsize:
        raise RequestError(
            f"{path} holds {len(content)} bytes of numbers",
            f"{math.prod(shape) * kind.itemsize} for its shape {shape}",
            "download the file again",
        )
    return np.frombuffer(content, kind).reshape(shape).astype(kind.newbyteorder("="))


def _header(file: BinaryIO, path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    start = _read(file, path, 4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES:
        what = "is empty" if not start else "is not an IDX file"
        raise RequestError(f"{path} {what}", "an IDX file or its gzip", "download the file again")
    dimensions = _read(file, path, 4 * start[3])
    if len(dimensions) != 4 * start[3]:
        raise RequestError(f"{path} ends within its header", hint="download the file again")
    return np.dtype(_TYPES[start[2]]), struct.unpack(f">{start[3]}I", dimensions)


def _open(path: Path) -> BinaryIO:
    """Open a plain or compressed file, by its content and not its suffix."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        return gzip.open(path, "rb") if packed else path.open("rb")  # pyright: ignore[reportReturnType]
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror})") from None


def _read(file: BinaryIO, path: Path, count: int) -> bytes:
    try:
        return file.read(count)
    except (OSError, EOFError, zlib.error) as error:
        raise RequestError(
            f"{path} cannot be unpacked ({error})", "a whole gzip file", "download the file again"
        ) from None


def _find(folder: Path, stem: str) -> Path | None:
    names = (stem, f"{stem}.gz")
    return next((folder / name for name in names if (folder / name).is_file()), None)
