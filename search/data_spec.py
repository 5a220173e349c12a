"""The data of a study: what a study stores of it, and every worker compares with its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainstack.search.json_values import read_strictly


@dataclass(frozen=True)
class DataSpec:
    """The data of a study, including the shape that every worker checks.

    Attributes:
        source: A data set's name, or an absolute path.
        target: Column to predict, for tables, or a list of several; null for other data.
        task: `classification`, `regression`, or `multilabel` (several targets of two classes);
            never `auto`.
        fingerprint: Hash of the data as loaded.
        features: Number of the network's inputs after encoding.
        classes: Class names in label order; empty for other tasks.
        rows: Number of rows of all parts; 0 if an older study did not record it.
        target_transform: `log` if networks are trained on the logarithm of the target and measured
            in its own unit; else `none`.
        labels: The two values of each target of `multilabel`, the one coded as 0 first.
        overrules: Flag → columns of a table that it names, such as `drop`.
        weight: Column of the rows' weights, for tables; null: none.
        split: Flag → its value, of the flags that say how a table's rows become parts; empty: at
            random.
        unlabelled: Number of rows without a target that are kept for pretraining.
    """

    source: str
    target: str | tuple[str, ...] | None
    task: str
    fingerprint: str
    features: int
    classes: tuple[str, ...]
    rows: int = 0
    target_transform: str = "none"
    labels: tuple[tuple[str, str], ...] = ()
    overrules: Mapping[str, Sequence[str]] = field(default_factory=dict)
    weight: str | None = None
    split: Mapping[str, str] = field(default_factory=dict)
    unlabelled: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the description as a JSON document that `from_json` reads back unchanged."""
        document = {**dataclasses.asdict(self), "classes": list(self.classes)}
        document["labels"] = [list(pair) for pair in self.labels]
        if self.targets:
            document["target"] = list(self.targets)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> DataSpec:
        """Read a description written by `to_json`.

        Raises:
            RequestError: A key is unknown or missing.
        """
        read: DataSpec = read_strictly(cls, document, "data")
        return dataclasses.replace(
            read,
            target=tuple(read.target) if isinstance(read.target, list) else read.target,
            classes=tuple(read.classes),
            labels=tuple((str(off), str(on)) for off, on in read.labels),
        )

    def changed(self, here: DataSpec) -> str:
        """Describe how the data on this machine, `here`, differs from the study's data, `self`."""
        if self.unlabelled != here.unlabelled:
            kept, asked = self.unlabelled, here.unlabelled
            return f"{kept} rows without a target are kept here, {asked} asked"
        if self.rows and self.rows != here.rows:
            return f"the data here has {here.rows} rows, the study's had {self.rows}"
        if self.features != here.features:
            return f"the data here has {here.features} features, the study's had {self.features}"
        if self.classes != here.classes:
            return f"the data here has the classes {_few(here.classes)}, the study's had others"
        if self.labels != here.labels:
            return "the targets here have other values than the study's"
        return "the data here has other values than the study's"

    @property
    def outputs(self) -> int:
        """Width of the network's head: the number of classes, or of targets."""
        return len(self.classes) if self.task == "classification" else max(1, len(self.targets))

    @property
    def class_count(self) -> int:
        """Number of classes of each target: 2 for labels, 0 for quantities."""
        return 2 if self.labels else len(self.classes)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of several targets; empty if there is one."""
        return self.target if isinstance(self.target, tuple) else ()


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
