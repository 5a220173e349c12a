"""Filters for lists of trials: by outcome, by arm, and by rank."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import itemgetter

from trainstack.search.queue.trial_record import TrialRecord
from trainstack.search.records import OUTCOMES, Outcome
from trainstack.spaces.axes import CHOICE_AXES
from trainstack.spaces.errors import RequestError, nearest


def read_outcomes(texts: Sequence[str]) -> tuple[str, ...]:
    """Check the values of `--outcome`.

    Raises:
        RequestError: A value is not an outcome.
    """
    for word in texts:
        if word not in OUTCOMES:
            raise RequestError(f"--outcome {word!r} is not known", hint=nearest(word, OUTCOMES))
    return tuple(texts)


def read_arms(texts: Sequence[str]) -> dict[str, str]:
    """Read `--axis activation=relu` as axis → arm.

    >>> read_arms(["activation=relu"])
    {'activation': 'relu'}

    Raises:
        RequestError: An axis or arm does not exist, or the text cannot be read.
    """
    arms = {}
    for text in texts:
        axis, equals, arm = text.partition("=")
        if not equals:
            raise RequestError(f"--axis {text!r}", "an axis and its arm, as in activation=relu")
        if axis not in CHOICE_AXES:
            raise RequestError(f"no axis {axis!r}", hint=nearest(axis, list(CHOICE_AXES)))
        if arm not in CHOICE_AXES[axis]:
            hint = nearest(arm, list(CHOICE_AXES[axis]))
            raise RequestError(f"no arm {arm!r} on axis {axis!r}", hint=hint)
        arms[axis] = arm
    return arms


def chosen(
    rows: Sequence[TrialRecord],
    outcomes: Sequence[str] = (),
    arms: Mapping[str, str] | None = None,
    best: int | None = None,
) -> list[TrialRecord]:
    """Return the trials that pass all filters.

    Args:
        rows: The trials.
        outcomes: Accepted outcomes; empty: any.
        arms: Axis → arm that the stack must have.
        best: Maximum number of completed trials, best first; None: all, in their order.
    """

    def fits(row: TrialRecord) -> bool:
        taken = all(row.stack and row.stack.get(axis) == arm for axis, arm in (arms or {}).items())
        return taken and (not outcomes or row.outcome in outcomes)

    found = [row for row in rows if fits(row)]
    if best is None:
        return found
    # The value of a pruned trial is that of its last epoch and cannot be compared.
    completed = [
        (row.value, row)
        for row in found
        if row.outcome == Outcome.COMPLETED and row.value is not None and math.isfinite(row.value)
    ]
    return [row for _, row in sorted(completed, key=itemgetter(0))[:best]]
