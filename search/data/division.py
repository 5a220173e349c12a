"""Which rows of a data set are for training, for validation and for testing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trainstack.search.data.split_checks import check_folds, check_parts
from trainstack.search.data.split_keys import NO_KEYS, SplitKeys
from trainstack.search.data.strata import strata
from trainstack.spaces.errors import RequestError

# The test part does not depend on a trial's seed: it is evaluated once, by one stack.
TEST_SEED = 0
MAX_SEED = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Division:
    """The rule by which rows become parts, as positions among them.

    Attributes:
        y: Targets of the rows, [N], or [N, T] of several.
        task: `classification`, `regression`, or `multilabel`.
        classes: Class names in label order; empty for other tasks.
        given: Which of `valid` and `test` are given as other rows than these.
        keys: Groups and times of the rows.
    """

    y: np.ndarray
    task: str
    classes: tuple[str, ...] = ()
    given: Collection[str] = ()
    keys: SplitKeys = NO_KEYS

    @property
    def is_fixed(self) -> bool:
        """Whether every seed gives the same parts."""
        return "valid" in self.given or self.keys.times is not None

    @cached_property
    def tested(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the rows that are not for testing, and of those that are."""
        rows = np.arange(len(self.y))
        return (rows, rows[:0]) if "test" in self.given else self._cut(rows, TEST_SEED)

    def positions(self, seed: int) -> dict[str, np.ndarray]:
        """Return the positions of the rows of each part that is not given, and of `train`.

        The test part is drawn with a constant seed, so that it is the same for every trial; the
        validation part with `seed`. Classes are stratified, and so are labels as far as possible
        (`strata`). Groups are kept whole; of rows with times, the latest are for testing and the
        latest before them for validation.

        Args:
            seed: 0 to 2³² - 1; equal seeds give equal parts.

        Raises:
            RequestError: The seed is out of range, or a gap in time leaves too few rows.
        """
        _check_seed(seed)
        rest, tested = self.tested
        found = {"train": rest}
        if "valid" not in self.given:
            kept, held = self._cut(rest, seed)
            found = {"train": rest[kept], "valid": rest[held]}
        return found if "test" in self.given else {**found, "test": tested}

    def folds(self, folds: int, repeats: int, seed: int) -> list[dict[str, np.ndarray]]:
        """Divide the rows that are not for testing into folds; return each one's `train`, `valid`.

        In each repeat every row is in the validation part once, as `positions` stratifies classes
        and keeps groups whole; of rows with times, the validation parts are consecutive periods and
        only earlier rows are trained on. More repeats do not change the earlier ones.

        Args:
            folds: At least 2.
            repeats: Times that the rows are divided anew, at least 1.
            seed: 0 to 2³² - 1.

        Returns:
            Positions of both parts, `folds` times `repeats`.

        Raises:
            RequestError: The validation part is given, there are too few rows, groups or times for
                the folds, or a fold has no row of some class.
        """
        _check_seed(seed)
        if "valid" in self.given:
            raise RequestError(
                f"--folds {folds} with a given validation part", "one of them: folds draw theirs"
            )
        rest, _ = self.tested
        keys, labels = self.keys.of(rest), self._strata(rest, folds)
        check_folds(keys, labels, self.classes, len(rest), folds, repeats)
        found = []
        cuts = keys.folds(labels, len(rest), folds, repeats, seed)
        for number, (kept, held) in enumerate(cuts, start=1):
            rows = {"train": rest[kept], "valid": rest[held]}
            parts = {"training": rows["train"], "validation": rows["valid"]}
            named = {f"the {name} part of fold {number}": part for name, part in parts.items()}
            check_parts(named, self.y, self.classes)
            found.append(rows)
        return found

    def _cut(self, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which of some rows stay, and which are held out, as positions among them."""
        return self.keys.of(rows).cut(self._strata(rows), len(rows), seed)

    def _strata(self, rows: np.ndarray, folds: int = 1) -> np.ndarray | None:
        """Return the strata of rows by their classes or labels; None for quantities.

        Strata of labels have a row for each fold.
        """
        if self.task == "regression":
            return None
        return strata(self.y[rows], max(5, folds)) if self.task == "multilabel" else self.y[rows]


def _check_seed(seed: int) -> None:
    if not 0 <= seed <= MAX_SEED:
        raise RequestError(f"seed {seed}", f"a whole number from 0 to {MAX_SEED}")
