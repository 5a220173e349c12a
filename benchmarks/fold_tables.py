"""The recorded folds of `benchmarks.folds` as arrays."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.folds import FOLDS, POINTS
from trainstack.spaces.stack import Stack


@dataclass(frozen=True, eq=False)
class FoldTable:
    """What was recorded on one data set.

    Attributes:
        data: Its name.
        rows: Rows that are not for testing.
        stacks: The stacks.
        curves: Lowest loss up to each twelfth of the plan, [stacks, divisions, folds, POINTS]; inf
            if the network diverged.
        seconds: Processor seconds per network, [stacks].
    """

    data: str
    rows: int
    stacks: tuple[Stack, ...]
    curves: np.ndarray
    seconds: np.ndarray

    @property
    def losses(self) -> np.ndarray:
        """Lowest loss of each network, [stacks, divisions, folds]."""
        return self.curves[..., -1]

    def part(self, stacks: int, divisions: int) -> FoldTable:
        """Return the first stacks and divisions."""
        return replace(
            self,
            stacks=self.stacks[:stacks],
            curves=self.curves[:stacks, :divisions],
            seconds=self.seconds[:stacks],
        )

    def truth(self) -> np.ndarray:
        """Return each stack's mean loss over all other divisions, [divisions, stacks].

        A network that diverged counts as the worst of its fold.
        """
        finite = np.where(np.isfinite(self.losses), self.losses, -np.inf)
        filled = np.where(np.isfinite(self.losses), self.losses, finite.max(0))
        sums = filled.mean(2)  # [stacks, divisions]
        divisions = sums.shape[1]
        return ((sums.sum(1, keepdims=True) - sums) / (divisions - 1)).T


def read(paths: Sequence[Path], stacks: int) -> list[FoldTable]:
    """Return the data sets that have at least a number of stacks.

    Each has the divisions that were recorded for all of these stacks.
    """
    rows: dict[str, dict[int, dict[int, Any]]] = defaultdict(lambda: defaultdict(dict))
    for path in paths:
        text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else None
        for line in (path.read_text() if text is None else text).splitlines():
            row = json.loads(line)
            rows[row["data"]][row["stack_number"]][row["first_division"]] = row
    return [_table(name, found, stacks) for name, found in rows.items() if len(found) >= stacks]


def _table(name: str, rows: dict[int, dict[int, Any]], stacks: int) -> FoldTable:
    curves, seconds, kept = [], [], []
    for number in range(stacks):
        blocks = [rows[number][first] for first in sorted(rows[number])]
        every = [curve or [np.inf] * POINTS for block in blocks for curve in block["curves"]]
        curves.append(np.reshape(every, (-1, FOLDS, POINTS)))
        seconds.append(sum(block["seconds"] for block in blocks) / len(every))
        kept.append(Stack.from_json(blocks[0]["stack"]))
    common = min(len(own) for own in curves)
    return FoldTable(
        name,
        rows[0][0]["rows"],
        tuple(kept),
        np.array([own[:common] for own in curves]),
        np.array(seconds),
    )
