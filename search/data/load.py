"""Load the data that a user names into memory and check it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trainstack.search.data import split_plan
from trainstack.search.data.catalogue import DATASETS
from trainstack.search.data.checks import check_task, finish
from trainstack.search.data.class_folders import is_class_folder, read_class_folders
from trainstack.search.data.dataset import Dataset
from trainstack.search.data.idx import read_folder
from trainstack.search.data.npz import read_npz
from trainstack.search.data.overrules import NO_OVERRULES, Overrules, refuse_any
from trainstack.search.data.several_targets import as_flag
from trainstack.search.data.split_plan import RANDOM, SplitPlan
from trainstack.search.data.table_formats import FORMATS
from trainstack.search.data.table_reader import read_table
from trainstack.search.data.target_transform import transformed
from trainstack.search.data.unlabelled import KEEP, check_unlabelled, nothing_to_keep
from trainstack.spaces.errors import RequestError, nearest

_ENDINGS = (".npz", *FORMATS)
# What to do with files of other kinds.
_HINTS = {
    **dict.fromkeys((".gz", ".zip", ".bz2", ".xz"), "unpack it"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save the sheet as .csv"),
    **dict.fromkeys((".feather", ".arrow", ".pkl", ".json", ".jsonl"), "write it with to_parquet"),
}


def load(
    source: str,
    target: str | Sequence[str] | None = None,
    task: str = "auto",
    overrules: Overrules = NO_OVERRULES,
    *,
    transform: str = "none",
    weight: str | None = None,
    plan: SplitPlan = RANDOM,
    unlabelled: str | None = None,
    limit_bytes: int | None = None,
) -> Dataset:
    """Load a named data set or a file.

    Args:
        source: A name of the catalogue, or the path of an `.npz`, `.csv` or `.parquet` file or of
            a folder of IDX files, or of a folder with images for each class. A name takes
            precedence over a file of that name.
        target: Column to predict, or several, also as one text separated by commas; required for
            tables, invalid otherwise except for the names that an archive's columns get.
        task: `auto`, `classification`, `multilabel` or `regression`. `auto` takes text, booleans
            and whole numbers as classes (in tables: whole numbers of at most 20 distinct values),
            every other target as a quantity.
        overrules: What the user says about a table's columns.
        transform: Transform of the target for training: `auto`, `log` or `none`; see
            `trainstack.search.data.target_transform.transformed`.
        weight: Column of the rows' weights, for tables; it is no feature. Archives have theirs as
            `w_train`, `w_valid` and `w_test`.
        plan: How a table's rows become parts.
        unlabelled: What becomes of rows without a target: `drop`, or `keep` for pretraining. None:
            those of a table are dropped, and an archive's `x_unlabelled` is kept.
        limit_bytes: Memory limit; None: free memory of the machine.

    Returns:
        The data, checked.

    Raises:
        RequestError: The request or the data is wrong.
    """
    check_task(task)
    plan.check()
    check_unlabelled(unlabelled, plan)
    path = None if source in DATASETS else _existing(source)
    suffix = path.suffix.lower() if path and path.is_file() else ""
    if target is not None and suffix not in (*FORMATS, ".npz"):
        raise _no_target(target, source)
    if suffix not in FORMATS:
        refuse_any(overrules, source)
        split_plan.refuse_any(plan, source)
    if weight is not None and suffix not in FORMATS:
        raise RequestError(
            f"--weight {weight} for {source}",
            "no --weight",
            "an archive has its weights as w_train, w_valid and w_test"
            if suffix == ".npz"
            else "only .csv and .parquet have columns",
        )
    if unlabelled == KEEP and suffix not in (*FORMATS, ".npz"):
        raise nothing_to_keep(source)
    if path is None:
        raw = DATASETS[source].load(limit_bytes)
    elif suffix in FORMATS:
        paths = {part: os.path.expanduser(file) for part, file in plan.files.items()}
        found = {part: str(_existing(os.path.abspath(file))) for part, file in paths.items()}
        plan = replace(plan, **found)
        raw = read_table(path, target, task, overrules, limit_bytes, weight, plan, unlabelled)
    elif suffix == ".npz":
        raw = read_npz(path, limit_bytes, unlabelled)
    elif is_class_folder(path):
        raw = read_class_folders(path, limit_bytes)
    else:
        raw = read_folder(path, limit_bytes)
    dataset = finish(raw, source if path is None else str(path), task)
    if suffix == ".npz" and target is not None and _flag(target) != _flag(dataset.targets):
        raise _no_target(target, source)
    return transformed(replace(dataset, weight=raw.weight), transform)


def _flag(target: str | Sequence[str]) -> str:
    return as_flag(target if isinstance(target, str) else tuple(target))


def _no_target(target: str | Sequence[str], source: str) -> RequestError:
    return RequestError(
        f"--target {_flag(target)} for {source}",
        "no --target",
        "only .csv and .parquet have columns",
    )


def _existing(source: str) -> Path:
    """Return the absolute path of a readable file with a known suffix."""
    path = Path(os.path.abspath(os.path.expanduser(source)))
    if not source or not path.exists():
        if os.sep in source or Path(source).suffix:
            raise RequestError(f"there is no file {path}", "an existing file or folder")
        raise RequestError(
            f"unknown data set '{source}'",
            "a name or the path of a file",
            nearest(source, [*DATASETS]),
        )
    if path.is_dir():
        return path
    if path.suffix.lower() not in _ENDINGS:
        raise RequestError(
            f"{path} ends in '{path.suffix}'",
            f"{', '.join(_ENDINGS)}, or a folder of images",
            _HINTS.get(path.suffix.lower(), ""),
        )
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror})") from None
    if empty:
        raise RequestError(f"{path} is empty", "data", "was it written to the end?")
    return path
