"""Data read from the artifact store equals the original, or is refused."""

from __future__ import annotations

import dataclasses
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.data_files import arrays, table
from tests.support.data_kinds import KINDS, PARTS
from trainstack.search.artifacts import FolderStore
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.generated_code import python_lines
from trainstack.search.data.load import load
from trainstack.search.data.overrules import Overrules
from trainstack.search.data.shared_arrays import packed
from trainstack.search.data.sharing import KEPT_SECONDS, name_of, obtain, share
from trainstack.search.data_spec import DataSpec
from trainstack.spaces.errors import RequestError


def gone(data: DataSpec) -> DataSpec:
    """Return the same data under a path that does not exist on this machine."""
    return dataclasses.replace(data, source="/no/such/place.npz", target=None)


def never() -> FolderStore:
    raise AssertionError("the store is not needed")


@pytest.fixture
def shared(tmp_path: Path) -> tuple[FolderStore, DataSpec, Path]:
    """A store with a small table, a study's description of it, and an empty cache."""
    table().to_csv(tmp_path / "t.csv", index=False)
    dataset = load(str(tmp_path / "t.csv"), target="kind")
    store = FolderStore(tmp_path / "store")
    share(dataset, store)
    return store, gone(dataset.describe()), tmp_path / "cache"


def frames(dataset: Dataset) -> list[np.ndarray | pd.DataFrame]:
    """Return the data's parts, tables without row numbers."""
    found = []
    for _, part in sorted(dataset.parts.items()):
        x = part.x.reset_index(drop=True) if dataset.is_table else part.x
        found += [x, part.y]
    return found


@pytest.mark.parametrize("make", [*KINDS, lambda _: load("digits"), lambda _: load("diabetes")])
def test_shared_data_is_the_same(
    make: Callable[[Path], Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetched data of every kind has the original values, types, splits and description."""
    monkeypatch.setenv("TRAINSTACK_DATA", str(tmp_path))
    here = make(tmp_path)
    store = FolderStore(tmp_path / "store")
    share(here, store)
    there = obtain(gone(here.describe()), lambda: store, tmp_path / "cache")
    for ours, theirs in zip(frames(here), frames(there), strict=True):
        assert type(ours) is type(theirs)
        if isinstance(ours, pd.DataFrame) and isinstance(theirs, pd.DataFrame):
            pd.testing.assert_frame_equal(ours, theirs)
        else:
            np.testing.assert_array_equal(ours, theirs, strict=True)
    assert (there.features, there.classes) == (here.features, here.classes)
    assert there.image_shape == here.image_shape
    # A script exported on that machine loads the fetched copy.
    names: dict[str, Any] = {"seed": 3}
    exec("\n".join(python_lines(there)), names)
    ours, theirs = here.split(3), there.split(3)
    for name in PARTS:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), strict=True)
        np.testing.assert_array_equal(names[name], getattr(ours, name), strict=True)


def test_shared_data_keeps_weights_and_the_reading_of_columns(tmp_path: Path) -> None:
    """A worker without the file has the study's weights in each part, and its overruled columns."""
    rows = np.arange(60)
    frame = pd.DataFrame({"code": rows % 7, "left out": rows, "w": 1 + rows % 4, "y": rows % 2})
    frame.to_csv(tmp_path / "t.csv", index=False)
    said = Overrules(drop=("left out",), categorical=("code",))
    here = load(str(tmp_path / "t.csv"), "y", "classification", said, weight="w")
    store = FolderStore(tmp_path / "store")
    share(here, store)
    there = obtain(gone(here.describe()), lambda: store, tmp_path / "cache")
    assert there.columns == ("code",)
    ours, theirs = here.split(3), there.split(3)
    assert ours.x_train.shape[1] == 7
    for name in (*PARTS, "w_train", "w_valid", "w_test"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), strict=True)
    assert set(np.round(theirs.w_train / theirs.w_train.min())) == {1, 2, 3, 4}


def test_fetched_once(shared: tuple[FolderStore, DataSpec, Path]) -> None:
    """The second worker of a machine uses the data fetched by the first."""
    store, data, cache = shared
    obtain(data, lambda: store, cache)
    assert obtain(data, never, cache).fingerprint == data.fingerprint
    assert sorted(path.suffix for path in cache.iterdir()) == [".lock", ".npz"]


def test_unused_data_is_removed(shared: tuple[FolderStore, DataSpec, Path]) -> None:
    """Fetched data unused for a month is removed when other data is fetched."""
    store, data, cache = shared
    cache.mkdir()
    ages = {"used": KEPT_SECONDS - 3600, "unused": KEPT_SECONDS + 3600}
    for name, age in ages.items():
        for path in (cache / f"{name}.npz", cache / f"{name}.lock"):
            path.touch()
            os.utime(path, (time.time() - age,) * 2)
    old = time.time() - KEPT_SECONDS - 3600
    obtain(data, lambda: store, cache)
    kept = {f"{data.fingerprint}.npz", f"{data.fingerprint}.lock", "used.npz", "used.lock"}
    assert {path.name for path in cache.iterdir()} == kept
    # The time of last use counts, not of fetching.
    fetched = cache / f"{data.fingerprint}.npz"
    os.utime(fetched, (old, old))
    obtain(data, never, cache)
    assert fetched.stat().st_mtime > old


def test_data_that_is_here_is_not_fetched(tmp_path: Path) -> None:
    """A machine that has the data does not access the store."""
    assert obtain(load("wine").describe(), never, tmp_path).source == "wine"
    assert list(tmp_path.iterdir()) == []


def test_other_data_here_and_the_studys_shared(tmp_path: Path) -> None:
    """If a file of that name has other data, the study's own is fetched."""
    path = tmp_path / "a.npz"
    np.savez(path, **arrays())
    study = load(str(path))
    store = FolderStore(tmp_path / "store")
    share(study, store)
    np.savez(path, **arrays(seed=1))
    assert load(str(path)).fingerprint != study.fingerprint
    found = obtain(study.describe(), lambda: store, tmp_path / "cache")
    assert found.fingerprint == study.fingerprint


def test_neither_here_nor_shared(tmp_path: Path) -> None:
    """Missing data is refused in one line that names the flag for sharing it."""
    data = gone(load("wine").describe())
    with pytest.raises(RequestError, match=r"no file /no/such/place.npz.*--share-data") as refused:
        obtain(data, lambda: FolderStore(tmp_path / "store"), tmp_path / "cache")
    assert "\n" not in str(refused.value)


def of_other_values(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {**content, "x_train": content["x_train"] + 1}


def of_objects(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {**content, "y_train": content["y_train"].astype(object)}


def without_labels(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in content.items() if name != "y_train"}


def beyond_the_categories(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {**content, "text_train_0": content["text_train_0"] + 1000}


def of_another_kind(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {**content, "said": np.frombuffer(b"[1]", np.uint8)}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (of_other_values, "fingerprint"),
        (of_objects, "cannot be read"),
        (without_labels, "fingerprint"),
        (beyond_the_categories, "cannot be read"),
        (of_another_kind, "cannot be read"),
        (b"", "cannot be read"),
        (b"PK\x03\x04cut", "cannot be read"),
    ],
)
def test_spoilt_data_is_refused(
    shared: tuple[FolderStore, DataSpec, Path],
    spoil: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] | bytes,
    words: str,
) -> None:
    """Damaged or different data is refused in one line, and fetched again once repaired."""
    store, data, cache = shared
    name = name_of(data.fingerprint)
    with store.read(name) as file:
        good = file.read()
    content = spoil
    if not isinstance(content, bytes):
        file = io.BytesIO()
        with np.load(io.BytesIO(good)) as stored:
            np.savez(file, allow_pickle=True, **spoil(dict(stored)))
        content = file.getvalue()
    store.write(name, lambda out: out.write(content))
    with pytest.raises(RequestError, match=words) as refused:
        obtain(data, lambda: store, cache)
    assert data.fingerprint in str(refused.value)
    assert "\n" not in str(refused.value)
    store.write(name, lambda out: out.write(good))
    assert obtain(data, lambda: store, cache).fingerprint == data.fingerprint


def test_cut_within_the_numbers(shared: tuple[FolderStore, DataSpec, Path]) -> None:
    """A copy that lost bytes in its middle is refused too."""
    store, data, cache = shared
    path = store.path(name_of(data.fingerprint))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(RequestError, match=r"shared data"):
        obtain(data, lambda: store, cache)


def test_what_cannot_be_shared(tmp_path: Path) -> None:
    """A category that cannot be restored exactly is refused when it is shared, not later."""
    table().to_csv(tmp_path / "t.csv", index=False)
    dataset = load(str(tmp_path / "t.csv"), target="kind")
    part = dataset.parts["train"]
    odd = part._replace(x=part.x.assign(colour="red\0"))
    with pytest.raises(RequestError, match="cannot be shared"):
        share(dataclasses.replace(dataset, parts={"train": odd}), FolderStore(tmp_path / "store"))
    assert not (tmp_path / "store").exists()
    assert all(array.dtype != object for array in packed(dataset).values())
