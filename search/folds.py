"""Which rows a run trains and validates on: a split at random, or a fold.

In the search a trial trains on every fold of the same division, so that trials are compared on
equal rows. In the confirmation a run trains on one fold: the runs of equal index form pairs, and
as many runs as there are folds validate on every row once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainstack.search.evidence.planned_run import confirmation_seed
from trainstack.search.records import CONFIRMATION

if TYPE_CHECKING:
    from trainstack.search.spec import StudySpec

# Seeds are below it.
_SEEDS = 2**32


@dataclass(frozen=True)
class SplitId:
    """A split of the rows that are not for testing into training and validation.

    Attributes:
        seed: Seed of the split, or of the division into folds.
        fold: Number of the fold, from 0, counted through all repeats; None: there are no folds.
    """

    seed: int
    fold: int | None = None

    def __str__(self) -> str:
        return f"{self.seed}" if self.fold is None else f"{self.seed}.{self.fold}"


def splits_of(spec: StudySpec, kind: str, index: int) -> tuple[SplitId, ...]:
    """Return the splits of a task.

    Args:
        spec: The study's specification.
        kind: Kind of the task.
        index: Index of its seed, for a confirmation run.
    """
    return (confirmation_split(spec, index),) if kind == CONFIRMATION else search_splits(spec)


def search_splits(spec: StudySpec) -> tuple[SplitId, ...]:
    """Return the splits of a search trial: one, or one for each fold of each repeat."""
    if spec.folds == 1:
        return (SplitId(spec.seed),)
    return tuple(SplitId(spec.seed, fold) for fold in range(spec.folds * spec.repeats))


def confirmation_split(spec: StudySpec, index: int) -> SplitId:
    """Return the split of the confirmation runs with an index.

    With K folds, runs 0 to K-1 use those of one division, and the next K runs those of another.
    """
    if spec.folds == 1:
        return SplitId(confirmation_seed(spec.seed, index))
    fold = index % spec.folds
    return SplitId(confirmation_seed(spec.seed, index - fold), fold)


def fold_seed(seed: int, place: int) -> int:
    """Return the seed of weights, batch order and masks of a trial's network for a fold.

    It differs from fold to fold, so that a trial's score does not hang on one set of initial
    weights.

    Args:
        seed: Seed of the trial, which is that of its first fold.
        place: Number of the fold, from 0.

    >>> fold_seed(7, 0), fold_seed(2**32 - 1, 1)
    (7, 0)
    """
    return (seed + place) % _SEEDS
