"""Validation rows with kept predictions of networks that were not trained on them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.evidence.temperature import at_temperature, best_temperature
from trainstack.search.folds import SplitId
from trainstack.search.kept_predictions import KeptPredictions, write_predictions
from trainstack.search.metrics import classes
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.program import Program

if TYPE_CHECKING:
    from trainstack.workers.engine.bench import Bench

log = logging.getLogger("trainstack.trainer")


@dataclass(frozen=True, eq=False)
class Validated:
    """Validation rows and predictions for them.

    Attributes:
        rows: Their positions; see `KeptPredictions`.
        y: Their targets, [N] or [N, T].
        w: Their weights, [N].
        p: Predictions for them, as those of `KeptPredictions`.
    """

    rows: np.ndarray
    y: np.ndarray
    w: np.ndarray
    p: np.ndarray

    def score(self, spec: StudySpec) -> float:
        """Return the metric that decides a study."""
        return spec.asked.value(self.y, self.p, self.w)

    def temperature(self) -> float:
        """Return `best_temperature` of probabilities; one for all labels."""
        y, p, w = self._of_classes()
        return best_temperature(y, p, w)

    def at(self, temperature: float) -> Validated:
        """Return the same with probabilities at a temperature."""
        if self.y.ndim == 1:
            return replace(self, p=at_temperature(self.p, temperature))
        return replace(self, p=at_temperature(_of_both(self.p), temperature)[..., 1])

    def calibration(self) -> dict[str, float]:
        """Return log loss and calibration error of probabilities, over all labels together."""
        y, p, w = self._of_classes()
        return {"log_loss": float(classes.log_loss(y, p, w)), "ece": float(classes.ece(y, p, w))}

    def _of_classes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return labels [N], probabilities [N, K] and weights; each label of a row is one."""
        if self.y.ndim == 1:
            return self.y, self.p, self.w
        count = self.y.shape[1]
        return self.y.reshape(-1), _of_both(self.p).reshape(-1, 2), np.repeat(self.w, count)


def _of_both(p: np.ndarray) -> np.ndarray:
    """Return the probabilities of both values of each label, [..., 2]."""
    return np.stack([1 - p, p], axis=-1)


def validated(
    bench: Bench, stack: Stack, splits: Sequence[SplitId], kept: KeptPredictions | None
) -> Validated | None:
    """Return the validation rows of splits, each once and in rising order, with predictions.

    Args:
        bench: The bench.
        stack: Any stack.
        splits: The splits.
        kept: Predictions for these rows; None if they were not kept.

    Returns:
        None if the predictions are for other rows.
    """
    parts = [bench.split(which, stack)[0] for which in splits]
    rows, first = np.unique(
        np.concatenate([bench.valid_rows(which) for which in splits]), return_index=True
    )
    if kept is None or not np.array_equal(rows, kept.rows):
        return None
    y = np.concatenate([part.y_valid for part in parts])[first]
    w = np.concatenate([part.weights("valid") for part in parts])[first]
    return Validated(rows, y, w, kept.predictions)


def together(parts: Sequence[Validated | None]) -> Validated | None:
    """Return several parts as one, which may hold a row more than once; None if one is missing."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    return Validated(
        *(
            np.concatenate([getattr(part, name) for part in known])
            for name in ("rows", "y", "w", "p")
        )
    )


def out_of_bag(parts: Sequence[Validated | None]) -> Validated | None:
    """Return each row once, with the mean of the predictions for it; None if a part is missing."""
    known = together(parts)
    if known is None:
        return None
    rows, first = np.unique(known.rows, return_index=True)
    kept = KeptPredictions(known.rows, known.p).ordered()
    return Validated(rows, known.y[first], known.w[first], kept.predictions)


def keep_predictions(
    bench: Bench, name: str, parts: Iterable[tuple[SplitId, Any, Program]]
) -> dict[str, str]:
    """Write a run's predictions for its validation rows; return kind → name in the store.

    A failed write does not stop the study: its run cannot be in an ensemble.

    Args:
        bench: The bench.
        name: Name of the file.
        parts: The run's splits: id, split, and the program, which holds the weights meanwhile.
    """
    rows, found = [], []
    for which, split, program in parts:
        rows.append(bench.valid_rows(which))
        found.append(split.predictions(program.outputs(split.prepare(split.x_valid))))
    kept = KeptPredictions(np.concatenate(rows), np.concatenate(found))
    try:
        write_predictions(bench.artifacts, name, kept, bench.spec.data.task)
    except OSError as error:
        log.warning("predictions not kept in %s (%s)", bench.artifacts, error)
        return {}
    return {"predictions": name}
