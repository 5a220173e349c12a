"""A study's data in the artifact store, for machines that do not have it.

The shared file is one `.npz` of the arrays of `shared_arrays`, named by the data's fingerprint,
regardless of the source (a named set, a folder, a table). Nothing in it is unpickled, and its
fingerprint is verified before use.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trainstack.search.artifacts import Store
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.load import load
from trainstack.search.data.npz import DAMAGED, read_headers
from trainstack.search.data.overrules import Overrules
from trainstack.search.data.raw import COPIES_BYTES, check_memory
from trainstack.search.data.shared_arrays import packed, unpacked
from trainstack.search.data.split_plan import SplitPlan
from trainstack.search.data.unlabelled import DROP, KEEP
from trainstack.search.data_spec import DataSpec
from trainstack.spaces.errors import RequestError, StorageAwayError

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
        raise _damaged(f"cannot be read ({error})", data) from None
    if found.fingerprint != data.fingerprint or found.task != data.task:
        raise _damaged(f"has fingerprint {found.fingerprint}", data)
    return found


def _damaged(what: str, data: DataSpec) -> RequestError:
    return RequestError(
        f"the shared data {name_of(data.fingerprint)} {what}",
        f"the study's {data.fingerprint}",
        "launch again with --share-data",
    )
