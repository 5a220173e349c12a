"""The result of a reader of one format, and helpers for all readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainstack.search.data.columns import Column
from trainstack.search.data.overrules import Overrules
from trainstack.search.data.part import Part
from trainstack.search.data.several_inputs import Shapes
from trainstack.search.data.spelling import Spelling
from trainstack.search.data.split_keys import NO_KEYS, SplitKeys
from trainstack.search.data.split_plan import RANDOM, SplitPlan
from trainstack.spaces.errors import RequestError

# Bytes per number beside the loaded array: float64 after splitting, float32 after standardising.
COPIES_BYTES = 12


@dataclass(frozen=True, eq=False)
class Raw:
    """Unchecked data. Fields as in `Dataset`; `task` may still be `auto`."""

    parts: Mapping[str, Part]
    python: tuple[str, ...]
    task: str = "auto"
    target: str | tuple[str, ...] | None = None
    classes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    spellings: Mapping[str, Spelling] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    described: tuple[Column, ...] = ()
    overrules: Overrules = field(default_factory=Overrules)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unlabelled: Any = None
    inputs: Shapes = ()
    weight: str | None = None
    plan: SplitPlan = RANDOM
    keys: SplitKeys = NO_KEYS


def free_memory_bytes() -> int:
    """Return the memory still available to this process: the machine's, or its control group's."""
    import psutil

    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no control group, or another version
        return free
    return free if limit == "max" else max(0, min(free, int(limit) - used))


def check_memory(needed_bytes: float, path: str, limit_bytes: int | None) -> None:
    """Reject data that would not fit into memory, before it is read.

    Args:
        needed_bytes: Estimated memory for loading, encoding and standardising.
        path: Names the data in the message.
        limit_bytes: Memory limit; None: free memory of the machine.

    Raises:
        RequestError: The data needs more memory.
    """
    limit = free_memory_bytes() if limit_bytes is None else limit_bytes
    if needed_bytes > limit:
        raise RequestError(
            f"{path} needs about {_size(needed_bytes)} of memory",
            f"at most {_size(limit)}, which is free",
            "use a sample of its rows, or a machine with more memory",
        )


def _size(count_bytes: float) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count_bytes >= factor:
            return f"{count_bytes / factor:.1f} {unit}"
    return f"{count_bytes:.0f} bytes"
