"""The recorded runs: how they are stored, and read."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "results" / "atlas"
# The stack with which all others are compared, seed by seed.
BASELINE = "chapter-default"
# Share of a data set's stacks that is trained with more seeds.
BEST_SHARE = 0.2


@dataclass(frozen=True)
class Run:
    """A recorded run.

    Attributes:
        data: Name of the data set.
        name: Name of the stack, the same on all data sets.
        seed: Seed of the split, the weights and the batches.
        stack: The stack as a document; its batch size suits the data.
        epochs: Most epochs of a plan on this data.
        outcome: `completed` or `diverged`.
        best_epoch: Epoch with the least validation loss.
        loss: Validation loss after each epoch.
        metric: Validation accuracy, or root mean squared error in the target's unit.
        valid: Figures of the best epoch's weights on the validation part; empty if it diverged.
        test: The same on the test part.
        parameters: Number of the network's weights.
        seconds: Processor time of building and of training.
    """

    data: str
    name: str
    seed: int
    stack: dict[str, Any]
    epochs: int
    outcome: str
    best_epoch: int
    loss: list[float | None]
    metric: list[float | None]
    parameters: int
    seconds: tuple[float, float]
    valid: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether the run has figures."""
        return bool(self.test) and bool(self.valid)


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return the recorded documents of a data set; none if there is no file."""
    path = folder / f"{name}.jsonl.gz"
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_lines(folder: Path, name: str, found: Sequence[dict[str, Any]]) -> None:
    """Write a data set's documents in place of its file, so that no reader sees a part of it."""
    path = folder / f"{name}.jsonl.gz"
    text = "".join(json.dumps(run, separators=(",", ":")) + "\n" for run in found)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(gzip.compress(text.encode(), mtime=0))  # the same runs give the same bytes
    os.replace(fresh, path)


def runs(folder: Path = FOLDER) -> list[Run]:
    """Return all recorded runs."""
    names = sorted(path.name.removesuffix(".jsonl.gz") for path in folder.glob("*.jsonl.gz"))
    return [Run(data=name, **document) for name in names for document in lines(folder, name)]


def runs_of_all(folder: Path = FOLDER) -> list[Run]:
    """Return the recorded runs of all data sets.

    Those of the folder `larger` in it have only the stacks among which the default is chosen.
    """
    return [*runs(folder), *runs(folder / "larger")]


def best_fifth(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of the best fifth of a data set's stacks, by the first seed's validation."""
    losses = {
        run["name"]: run["valid"]["loss"]
        for run in found
        if run["seed"] == 0 and run.get("valid", {}).get("loss") is not None
    }
    stacks = {run["name"] for run in found}
    return sorted(losses, key=losses.__getitem__)[: max(1, round(BEST_SHARE * len(stacks)))]


def by_task(found: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs on the data sets of each task, `classification` and `regression`."""
    classes = {run.data for run in found if "accuracy" in run.test}
    return {
        "classification": [run for run in found if run.data in classes],
        "regression": [run for run in found if run.data not in classes],
    }
