"""Locations of image data sets on a machine, and the chapter's split of them."""

from __future__ import annotations

import dataclasses
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from trainstack.search.data.idx import is_idx_folder, read_folder
from trainstack.search.data.npz import read_npz
from trainstack.search.data.part import Part
from trainstack.search.data.raw import COPIES_BYTES, Raw, check_memory
from trainstack.spaces.errors import RequestError

# The chapter's split: the first training images are the validation part.
VALID_ROWS = 5000
_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_CIFAR_BYTES = 60_000 * 3072


def places(name: str, in_keras: tuple[str, ...]) -> list[Path]:
    """Return the locations in which a data set is searched for, in order.

    Args:
        name: The data set's name.
        in_keras: Paths below Keras's cache of data sets.
    """
    import platformdirs

    home = os.environ.get("TRAINSTACK_HOME") or platformdirs.user_data_dir("trainstack")
    keras = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"
    folders = [Path(home).expanduser() / "data", Path("/usr/share/datasets")]
    if own := os.environ.get("TRAINSTACK_DATA"):
        folders.insert(0, Path(own).expanduser())
    return [folder / name for folder in folders] + [keras / path for path in in_keras]


def read_images(name: str, in_keras: tuple[str, ...], hint: str, limit_bytes: int | None) -> Raw:
    """Read an image data set from the first location that has it.

    A location is a folder of IDX files, a folder of CIFAR batches, or an `.npz` file (the
    location's name with that suffix).

    Args:
        name: The data set's name.
        in_keras: Paths below Keras's cache of data sets.
        hint: How to get the files.
        limit_bytes: Memory limit; None: free memory of the machine.

    Returns:
        The data with its given test part, and the first 5,000 training rows as validation.

    Raises:
        RequestError: No location has it; the message lists them.
    """
    looked = places(name, in_keras)
    for place in looked:
        raw = _read_place(place, limit_bytes)
        if raw is not None:
            return _hold_out(raw)
    raise RequestError(
        f"{name} is not on this machine (looked in {', '.join(map(str, looked))})",
        "its files in one of them",
        hint,
    )


def _read_place(place: Path, limit_bytes: int | None) -> Raw | None:
    if is_idx_folder(place):
        return read_folder(place, limit_bytes)
    if all((place / batch).is_file() for batch in (*_BATCHES, "test_batch")):
        return _read_cifar(place, limit_bytes)
    archive = place if place.suffix == ".npz" else place.with_name(place.name + ".npz")
    if archive.is_file():
        return dataclasses.replace(read_npz(archive, limit_bytes), task="classification")
    return None


def _hold_out(raw: Raw) -> Raw:
    if "valid" in raw.parts or len(raw.parts["train"].y) <= VALID_ROWS:
        return raw
    x, y, _ = raw.parts["train"]
    cut = VALID_ROWS
    return dataclasses.replace(
        raw,
        parts={**raw.parts, "train": Part(x[cut:], y[cut:]), "valid": Part(x[:cut], y[:cut])},
        python=(
            *raw.python,
            f"x_valid, x_train = x_train[:{cut}], x_train[{cut}:]",
            f"y_valid, y_train = y_train[:{cut}], y_train[{cut}:]",
        ),
    )


class _ArraysOnly(pickle.Unpickler):
    """Unpickle arrays only, since a data file must not run code."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"_reconstruct", "ndarray", "dtype", "encode"}
        if module.partition(".")[0] in ("numpy", "_codecs") and name in allowed:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not an array")


def _read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return one batch's images [N, 32, 32, 3] and labels [N]."""
    try:
        with path.open("rb") as file:
            batch = _ArraysOnly(file, encoding="bytes").load()
        images = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        return images, np.asarray(batch[b"labels"], dtype=np.uint8)
    except (pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError, OSError) as error:
        raise RequestError(
            f"{path} is not a CIFAR-10 batch ({error})", hint="download the files again"
        ) from None


def _read_cifar(folder: Path, limit_bytes: int | None) -> Raw:
    check_memory(_CIFAR_BYTES * (1 + COPIES_BYTES), str(folder), limit_bytes)
    batches = [_read_batch(folder / batch) for batch in _BATCHES]
    train = Part(*(np.concatenate(arrays) for arrays in zip(*batches, strict=True)))
    return Raw(
        {"train": train, "test": Part(*_read_batch(folder / "test_batch"))},
        python=(
            "import pickle",
            "from pathlib import Path",
            "",
            "import numpy as np",
            "",
            f"folder = Path({str(folder)!r})",
            "",
            "",
            "def read_batch(name):",
            '    batch = pickle.loads((folder / name).read_bytes(), encoding="bytes")',
            '    x = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)',
            '    return x, np.asarray(batch[b"labels"])',
            "",
            "",
            'batches = [read_batch(f"data_batch_{number}") for number in range(1, 6)]',
            "x_train, y_train = (np.concatenate(arrays) for arrays in zip(*batches))",
            'x_test, y_test = read_batch("test_batch")',
        ),
        task="classification",
    )
