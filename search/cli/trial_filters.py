"""Filters for lists of trials: by outcome, by arm, and by rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainstack.search.records import OUTCOMES
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
    rows: Sequence[dict[str, Any]],
    outcomes: Sequence[str] = (),
    arms: Mapping[str, str] | None = None,
    best: int | None = None,
) -> list[dict[str, Any]]:
    """Return the trials that pass all filters.

    Args:
        rows: As `trials --json` lists them.
        outcomes: Accepted outcomes; empty: any.
        arms: Axis → arm that the stack must have.
        best: Maximum number of completed trials, lowest loss first; None: all, in their order.
    """

    def fits(row: dict[str, Any]) -> bool:
        stack = row["stack"] or {}
        taken = all(stack.get(axis) == arm for axis, arm in (arms or {}).items())
        return taken and (not outcomes or row["outcome"] in outcomes)

    found = [row for row in rows if fits(row)]
    if best is None:
        return found
    # The loss of a pruned trial is that of its last epoch and cannot be compared.
    completed = [r for r in found if r["outcome"] == "completed" and r["value"] is not None]
    return sorted(completed, key=lambda row: row["value"])[:best]
