"""Loaded data, and its splits, encoded; which rows are in a split is decided by `division`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from trainstack.search.data.columns import Column
from trainstack.search.data.division import Division
from trainstack.search.data.inputs import Inputs
from trainstack.search.data.overrules import Overrules
from trainstack.search.data.part import Part
from trainstack.search.data.several_inputs import Shapes
from trainstack.search.data.spelling import Spelling
from trainstack.search.data.split_checks import check_parts
from trainstack.search.data.split_keys import NO_KEYS, SplitKeys
from trainstack.search.data.split_plan import RANDOM, SplitPlan
from trainstack.search.data.splitting import NONE, Split, make_split
from trainstack.search.data_spec import DataSpec


@dataclass(frozen=True, eq=False)
class Dataset:
    """Checked data in memory, not yet encoded, split or standardised.

    Attributes:
        source: A data set's name, or an absolute path.
        target: Column to predict, or several, for tables; else None.
        task: `classification`, `regression`, or `multilabel` (several targets of two classes).
        parts: `train` (all rows that are not given as another part), and `valid` and `test`
            where they are given. Arrays are [N, D] in uint8 (images: a quarter of the memory),
            float32 where that holds them as they came, or float64; frames hold float64 and text
            columns; labels are int32 from 0 to K-1, regression targets float64 in their own unit.
        classes: Class names in label order; empty for other tasks.
        labels: The two values of each target of `multilabel`, the one coded as 0 first.
        columns: Names of the D features, or of a table's columns (`numeric`, then `text`).
        numeric: A table's numeric columns; empty for arrays.
        text: A table's columns of categories; empty for arrays.
        spellings: How the texts of a table's columns are read, by name; none for numeric columns.
        origins: Columns of the file by the names of the columns made of them, where these differ.
        described: What becomes of each of a table's columns, in the file's order.
        overrules: What the user says about them.
        image_shape: Shape of one example before it was flattened, or None.
        named_inputs: Name and shape of several inputs, side by side in a row; empty: one input.
        transform: `log` if a network is trained on the logarithm of the target, else `none`.
        warnings: What is left out, and what is a guess, one sentence each.
        notes: How the rest is read, one sentence each.
        python: Lines of plain Python that load the same `parts` (see `pythoncode`).
        unlabelled: Rows without a target, as `x`, which only pretraining uses; None: none.
        weight: Column of the rows' weights, for tables; else None.
        plan: How rows become parts.
        keys: Groups and times of the rows of `x`, for tables that are split by them.
    """

    source: str
    target: str | tuple[str, ...] | None
    task: str
    parts: Mapping[str, Part]
    classes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    spellings: Mapping[str, Spelling] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    described: tuple[Column, ...] = ()
    overrules: Overrules = field(default_factory=Overrules)
    image_shape: tuple[int, ...] | None = None
    named_inputs: Shapes = ()
    transform: str = NONE
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    unlabelled: Any = None
    weight: str | None = None
    plan: SplitPlan = RANDOM
    keys: SplitKeys = NO_KEYS

    @property
    def x(self) -> Any:
        """All rows that are not given as validation or test, [N, D]."""
        return self.parts["train"].x

    @property
    def y(self) -> np.ndarray:
        """The targets of `x`, [N], or [N, T] of several."""
        return self.parts["train"].y

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of several targets; empty if there is one."""
        return self.target if isinstance(self.target, tuple) else ()

    @property
    def has_weights(self) -> bool:
        """True when the rows have weights."""
        return self.parts["train"].w is not None

    @property
    def is_table(self) -> bool:
        """True when `x` is a frame that an encoder turns into numbers."""
        return bool(self.numeric or self.text)

    @property
    def rows(self) -> int:
        """Number of rows of all parts together."""
        return sum(len(part.y) for part in self.parts.values())

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content: values, types, shapes, part names and class names; 32 hex digits.

        It does not depend on the path: a copy on another machine has the same fingerprint.
        """
        digest = hashlib.blake2b(digest_size=16)
        labels = (self.labels,) if self.labels else ()
        digest.update(repr((self.task, self.classes, self.columns, *labels)).encode())
        for name in sorted(self.parts):
            part = self.parts[name]
            weights = () if part.w is None else (part.w,)
            for array in (*_arrays(part.x, self.numeric, self.text), part.y, *weights):
                digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
                digest.update(np.ascontiguousarray(array).data)
        others = self.keys.arrays()
        if self.unlabelled is not None:
            hashed = _arrays(self.unlabelled, self.numeric, self.text)
            others |= {f"unlabelled {k}": array for k, array in enumerate(hashed)}
        for name, array in others.items():
            digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @cached_property
    def division(self) -> Division:
        """How the rows of `x` become the parts that are not given."""
        given = self.parts.keys() - {"train"}
        return Division(self.y, self.task, self.classes, given, self.keys)

    def split(self, seed: int) -> Split:
        """Split the data into training, validation and test, and encode it.

        Given parts are kept as they are; see `Division.positions` for the others.

        Args:
            seed: 0 to 2³² - 1; equal seeds give equal splits.

        Returns:
            The six arrays with the training part's statistics.

        Raises:
            RequestError: The seed is out of range, or no training row has some class.
        """
        found = self.division.positions(seed)
        valid = self.parts["valid"] if "valid" in self.parts else self._rows(found["valid"])
        return self._encoded(self._of(found["train"]), valid)

    def folds(self, folds: int, repeats: int, seed: int) -> Iterator[Split]:
        """Yield the splits of `division.folds`, encoded.

        Encoders and statistics are those of each fold's training part.

        Raises:
            RequestError: As `division.folds`.
        """
        for rows in self.division.folds(folds, repeats, seed):
            yield self.fold(rows)

    def fold(self, rows: Mapping[str, np.ndarray]) -> Split:
        """Return the split of a fold.

        Args:
            rows: One of `division.folds`.
        """
        return self._encoded(self._of(rows["train"]), self._rows(rows["valid"]))

    def whole(self) -> Split:
        """Return all rows that are not for testing as the training part, those given first.

        The validation part, which nothing should use, is the first of them.
        """
        rest, _ = self.division.tested
        train = self._of(rest)
        if "valid" in self.parts:
            train = train.followed_by(self.parts["valid"])
        return self._encoded(train, self._rows(rest[:1]))

    def _rows(self, rows: np.ndarray) -> Part:
        """Return some of the rows of `x`; all of them without a copy."""
        return self.parts["train"] if len(rows) == len(self.y) else self.parts["train"].of(rows)

    def _of(self, train: np.ndarray) -> Part:
        """Return training rows by their positions.

        Raises:
            RequestError: A class has no row among them.
        """
        check_parts({"the training part": train}, self.y, self.classes)
        return self._rows(train)

    def _encoded(self, train: Part, valid: Part) -> Split:
        """Encode training rows with a validation and the test part."""
        rest, tested = self.division.tested
        return make_split(
            train,
            valid,
            self.parts["test"] if "test" in self.parts else self._rows(tested),
            task=self.task,
            columns=self.columns,
            numeric=self.numeric,
            has_missing=self.has_missing,
            text=self.text,
            # Categories of the test part alone remain unknown.
            vocabulary={name: sorted(set(self.x[name].iloc[rest])) for name in self.text},
            transform=self.transform,
            unlabelled=self.unlabelled,
        )

    @cached_property
    def has_missing(self) -> tuple[str, ...]:
        """A table's numeric columns with missing values in any row, which have an indicator."""
        parts = self.parts.values()
        return tuple(n for n in self.numeric if any(part.x[n].isna().any() for part in parts))

    def describe(self) -> DataSpec:
        """Return the description of the data that a study stores."""
        return DataSpec(
            source=self.source,
            target=self.target,
            task=self.task,
            fingerprint=self.fingerprint,
            features=self.features,
            classes=self.classes,
            labels=self.labels,
            rows=self.rows,
            target_transform=self.transform,
            overrules=self.overrules.to_json(),
            weight=self.weight,
            split=self.plan.to_json(),
            unlabelled=0 if self.unlabelled is None else len(self.unlabelled),
        )

    @cached_property
    def inputs(self) -> Inputs:
        """What the inputs of the network are after encoding, the same for every split."""
        return self.split(0).inputs if self.is_table else Inputs(self.x.shape[1])

    @property
    def features(self) -> int:
        """Number of inputs of the network."""
        return self.inputs.width


def _arrays(x: Any, numeric: tuple[str, ...], text: tuple[str, ...]) -> list[np.ndarray]:
    """Return arrays whose bytes represent the content of `x`; text as hashes of its values."""
    if not (numeric or text):
        return [x]
    from pandas import util

    numbers = x[list(numeric)].to_numpy(np.float64)
    hashed: Any = util.hash_array  # its stub is empty
    return [numbers, *(hashed(x[name].to_numpy(object)) for name in text)]
