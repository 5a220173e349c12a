"""A trial trained again, and its comparison with the record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trainstack.search.json_values import INLINE, OR_NULL
from trainstack.spaces.stack import Stack

if TYPE_CHECKING:
    from trainstack.search.queue.progress import Record


@dataclass(frozen=True)
class Comparison:
    """Comparison of a trial's recorded curve with its repetition.

    Attributes:
        same: Whether the lengths agree and no difference exceeds the tolerance, in every fold.
        exact: Whether both are equal to the last digit.
        epochs: Number of epochs in both curves.
        difference: Largest relative difference.
        differs_at: First epoch beyond the tolerance or in one curve only; null: nowhere.
    """

    same: bool
    exact: bool
    epochs: int
    difference: float | None
    differs_at: int | None


@dataclass(frozen=True)
class Recorded:
    """The recorded result of a trial.

    Attributes:
        outcome: Its outcome.
        curve: Objective per epoch, of a trial on folds the mean over its first ones.
        folds: Objective of each fold that was trained; empty without folds.
        device: Such as `cpu` or `gpu:0`; empty if unknown.
    """

    outcome: str
    curve: tuple[float, ...] = field(metadata=OR_NULL)
    folds: tuple[float, ...] = field(metadata=OR_NULL)
    device: str


@dataclass(frozen=True)
class Repetition:
    """The result of training a trial again.

    Attributes:
        device: Device of this machine.
        outcome: Its outcome now.
        cause: Reason why it diverged or was infeasible.
        curve: Objective per epoch, of a trial on folds the mean over its first ones.
        folds: Objective of each fold that was trained; empty without folds.
        seconds: `total`, `build`, `compile`, `train`, `evaluate`.
    """

    device: str
    outcome: str
    cause: str | None
    curve: tuple[float, ...] = field(metadata=OR_NULL)
    folds: tuple[float, ...] = field(metadata=OR_NULL)
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Replay:
    """A trial trained again, compared with its record.

    Attributes:
        study: The study's name.
        trial: The trial's number.
        kind: `search` or `confirmation`.
        stack: Its stack.
        stack_id: Fingerprint of the stack.
        seed: Seed of weights, batch order and masks.
        threads: Number of training threads; 0: all cores.
        cached_of: Trial whose result this is, if the stacks are equal.
        tolerance: Relative difference that counts as the same.
        found: The comparison.
        recorded: The recorded result.
        again: The result of the repetition.
    """

    study: str
    trial: int
    kind: str
    stack: Stack
    stack_id: str
    seed: int
    threads: int
    cached_of: int | None
    tolerance: float
    found: Comparison = field(metadata=INLINE)
    recorded: Recorded
    again: Repetition


def compare(recorded: Sequence[float], again: Sequence[float], tolerance: float) -> Comparison:
    """Compare two curves epoch by epoch.

    Args:
        recorded: Objective per epoch of the record.
        again: Objective per epoch of the repetition.
        tolerance: Greatest |again − recorded| / |recorded| that counts as the same, 0 or more.
    """
    pairs = list(zip(recorded, again, strict=False))
    gaps = [
        0.0 if a == b else abs(b - a) / max(abs(a), 1e-12) if math.isfinite(a - b) else math.inf
        for a, b in pairs
    ]
    beyond = next((k for k, gap in enumerate(gaps, start=1) if gap > tolerance), None)
    if beyond is None and len(recorded) != len(again):
        beyond = len(pairs) + 1
    largest = max(gaps, default=0.0)
    exact = list(recorded) == list(again)
    shown = largest if math.isfinite(largest) else None
    return Comparison(beyond is None, exact, len(pairs), shown, beyond)


def replay_of(
    study: str, first: Record, again: Repetition, found: Comparison, tolerance: float
) -> Replay:
    """Return the record of a replay.

    Args:
        study: Name of the study.
        first: The trial's record.
        again: The result of the repetition.
        found: Comparison of the two.
        tolerance: Relative difference that counts as the same.
    """
    return Replay(
        study=study,
        trial=first.number,
        kind=first.kind,
        stack=first.stack,
        stack_id=first.stack.stack_id,
        seed=first.seed,
        threads=first.threads,
        cached_of=first.duplicate_of,
        tolerance=tolerance,
        found=found,
        recorded=Recorded(first.outcome, first.curve, first.folds, first.device),
        again=again,
    )
