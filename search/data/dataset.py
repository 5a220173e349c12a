"""Loaded data, and the rule by which it is split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trainstack.search.data.columns import Column
from trainstack.search.data.overrules import Overrules
from trainstack.search.data.spelling import Spelling
from trainstack.search.data.splitting import NONE, Split, make_split
from trainstack.search.data.strata import strata
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:  # spec.py is a higher layer; only describe() needs it
    from trainstack.search.spec import DataSpec

# The test part takes a fifth of all rows, then validation a fifth of the rest.
HELD_OUT_FRACTION = 0.2
# The test part does not depend on a trial's seed: it is evaluated once, by one stack.
TEST_SEED = 0
MAX_SEED = 2**32 - 1


class Part(NamedTuple):
    """Rows and their targets.

    `x` is an array [N, D] or a pandas frame; `y` is an array [N], or [N, T] of several targets.
    `w` has the rows' weights, float64 [N], not negative; None: all are 1.
    """

    x: Any
    y: np.ndarray
    w: np.ndarray | None = None


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
        transform: `log` if a network is trained on the logarithm of the target, else `none`.
        warnings: What is left out, and what is a guess, one sentence each.
        notes: How the rest is read, one sentence each.
        python: Lines of plain Python that load the same `parts` (see `pythoncode`).
        weight: Column of the rows' weights, for tables; else None.
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
    transform: str = NONE
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    weight: str | None = None

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
        return digest.hexdigest()

    def split(self, seed: int) -> Split:
        """Split the data into training, validation and test, and encode it.

        Given parts are kept as they are. Others are drawn: the test part with a constant seed, so
        that it is the same for every trial; the validation part with `seed`.
        Classes are stratified, and so are labels as far as possible (`strata`).

        Args:
            seed: 0 to 2³² - 1; equal seeds give equal splits.

        Returns:
            The six arrays with the training part's statistics.

        Raises:
            RequestError: The seed is out of range.
        """
        if not 0 <= seed <= MAX_SEED:
            raise RequestError(f"seed {seed}", f"a whole number from 0 to {MAX_SEED}")
        train, valid, test = (self.parts.get(name) for name in ("train", "valid", "test"))
        assert train is not None
        if test is None:
            train, test = self._cut(train, TEST_SEED)
        rest = train  # all but the test part; defines the known categories
        if valid is None:
            train, valid = self._cut(train, seed)
        return make_split(
            train,
            valid,
            test,
            task=self.task,
            columns=self.columns,
            numeric=self.numeric,
            text=self.text,
            vocabulary={name: sorted(set(rest.x[name])) for name in self.text},
            transform=self.transform,
        )

    def describe(self) -> DataSpec:
        """Return the description of the data that a study stores."""
        from trainstack.search.spec import DataSpec

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
        )

    @cached_property
    def features(self) -> int:
        """Number of inputs of the network after encoding, the same for every split."""
        return self.split(0).x_train.shape[1] if self.is_table else self.x.shape[1]

    def _cut(self, part: Part, seed: int) -> tuple[Part, Part]:
        """Return (rest, held out), with the same call as in a generated script."""
        from sklearn.model_selection import train_test_split

        weights = () if part.w is None else (part.w,)
        cut: Any = train_test_split(
            *(part.x, part.y, *weights),
            test_size=HELD_OUT_FRACTION,
            random_state=seed,
            stratify=self._strata(part.y),
        )
        return Part(*cut[0::2]), Part(*cut[1::2])

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return the strata of rows by their targets; None for quantities."""
        if self.task == "regression":
            return None
        return strata(y) if self.labels else y


def _arrays(x: Any, numeric: tuple[str, ...], text: tuple[str, ...]) -> list[np.ndarray]:
    """Return arrays whose bytes represent the content of `x`; text as hashes of its values."""
    if not (numeric or text):
        return [x]
    from pandas import util

    numbers = x[list(numeric)].to_numpy(np.float64)
    hashed: Any = util.hash_array  # its stub is empty
    return [numbers, *(hashed(x[name].to_numpy(object)) for name in text)]
