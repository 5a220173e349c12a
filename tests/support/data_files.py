"""Small data of every kind, written to a folder."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pandas as pd


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write bytes as an IDX file, compressed where the name says so."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def arrays(rows: int = 60, features: int = 4, classes: int = 3, seed: int = 0) -> dict:
    """Return `x_train` and `y_train` with every class equally often."""
    rng = np.random.default_rng(seed)
    return {
        "x_train": rng.normal(size=(rows, features)).astype(np.float32),
        "y_train": np.arange(rows) % classes,
    }


def images(folder: Path, rows: int = 60, ending: str = ".gz") -> Path:
    """Write a folder of IDX files with a test part."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for stem, count in (("train", rows), ("t10k", 10)):
        pictures = rng.integers(0, 256, (count, 3, 2))
        write_idx(folder / f"{stem}-images-idx3-ubyte{ending}", pictures)
        write_idx(folder / f"{stem}-labels-idx1-ubyte{ending}", np.arange(count) % 2)
    return folder


def cifar(folder: Path, rows: int = 20) -> Path:
    """Write a folder in the layout of CIFAR-10's Python batches."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        pixels = rng.integers(0, 256, (rows, 3072), dtype=np.uint8)
        batch = {b"data": pixels, b"labels": [row % 10 for row in range(rows)]}
        (folder / name).write_bytes(pickle.dumps(batch))
    return folder


def table(rows: int = 200, many: int = 60) -> pd.DataFrame:
    """Return numbers with gaps, booleans, categories with gaps, and two kinds of target."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": np.where(np.arange(rows) % 9 == 0, np.nan, rng.normal(40, 9, rows)),
            "rooms": rng.integers(1, 9, rows),
            "garden": rng.integers(0, 2, rows).astype(bool),
            "colour": [("red", "green", None)[row % 3] for row in range(rows)],
            "street": [f"s{number}" for number in rng.integers(0, many, rows)],
            "country": ["nl"] * rows,
            "nothing": [None] * rows,
        }
    )
    frame["price"] = frame["rooms"] * 10.5 + rng.normal(size=rows)
    frame["kind"] = [("flat", "house")[row % 2] for row in range(rows)]
    return frame


def houses(rows: int = 400) -> pd.DataFrame:
    """Return houses with text categories, gaps, and a price in the hundred thousands."""
    rng = np.random.default_rng(3)
    rooms = rng.integers(1, 9, rows).astype(float)
    town = rng.choice(["Amstelveen", "Béziers", "Coimbra"], rows)
    extra = pd.Series(town).map({"Amstelveen": 200_000.0, "Béziers": 50_000.0, "Coimbra": 0.0})
    price = 100_000 + 40_000 * rooms + extra + rng.normal(0, 10_000, rows)
    frame = pd.DataFrame({"rooms": rooms, "town": town, "garden": rng.random(rows) < 0.5})
    frame.loc[::7, "rooms"] = np.nan
    frame.loc[::11, "town"] = None
    return frame.assign(price=price.round(2))
