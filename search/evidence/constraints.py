"""Constraints on what is recommended: `latency_ms<=1`, `parameters<=100000`.

To add a figure that may be bounded, add a row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainstack.search.evidence.finite import figure, finite
from trainstack.search.evidence.formatting import number
from trainstack.search.records import Run
from trainstack.spaces.errors import RequestError, nearest

# What may be bounded → what it is. A run's metrics hold them, by these names.
FIGURES: dict[str, str] = {
    "parameters": "weights of the network, biases and normalization included",
    "latency_ms": "milliseconds in which the exported model answers for one row",
    "nonzero_fraction": "share of the kernels' weights that are not zero, small ones dropped",
}

_FORM = re.compile(r"\s*([a-z_0-9]+)\s*(<=|>=)\s*([-+.0-9eE]+)\s*")


@dataclass(frozen=True)
class Constraint:
    """A bound on a figure.

    Attributes:
        figure: One of FIGURES.
        at_most: True for `<=`, False for `>=`.
        bound: The bound, in the figure's unit.
    """

    figure: str
    at_most: bool
    bound: float

    def __str__(self) -> str:
        return f"{self.figure}{'<=' if self.at_most else '>='}{self.bound:g}"

    def violation(self, metrics: Mapping[str, float]) -> float | None:
        """Return by how much of the bound metrics break it: 0 or less where they keep it.

        None where the figure is not known. This is what Optuna's samplers take for a constraint.
        """
        value = figure(metrics, self.figure)
        if value is None:
            return None
        gap = value - self.bound if self.at_most else self.bound - value
        return gap / abs(self.bound)


def read(text: str) -> Constraint:
    """Read a constraint as users write it.

    >>> str(read("latency_ms <= 1"))
    'latency_ms<=1'

    Raises:
        RequestError: It is no bound on a known figure.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        hint = "figures: " + ", ".join(FIGURES)
        raise RequestError(f"constraint {text!r}", "such as 'latency_ms<=1'", hint)
    figure, sign, said = match.groups()
    if figure not in FIGURES:
        raise RequestError(
            f"constraint {text!r} bounds {figure!r}", "a known figure", nearest(figure, [*FIGURES])
        )
    try:
        bound = float(said)
    except ValueError:
        bound = math.nan
    if not (math.isfinite(bound) and bound > 0.0):
        raise RequestError(f"constraint {text!r} has the bound {said!r}", "a number above 0")
    return Constraint(figure, sign == "<=", bound)


def read_all(texts: Sequence[str]) -> tuple[Constraint, ...]:
    """Read a spec's constraints."""
    return tuple(read(text) for text in texts)


def violation(constraints: Sequence[Constraint], runs: Sequence[Run]) -> float:
    """Return by how much a stack's runs break constraints, summed; 0 where they keep all.

    Each figure is the mean over the runs that know it; one that no run knows breaks nothing.
    """
    total = 0.0
    for constraint in constraints:
        known = [v for r in runs if (v := constraint.violation(r.metrics)) is not None]
        total += max(0.0, sum(known) / len(known)) if known else 0.0
    return total


def told(constraints: Sequence[Constraint], runs: Sequence[Run]) -> list[str]:
    """Say for each constraint that a stack's runs break, or do not know, what there is."""
    said = []
    for constraint in constraints:
        values = finite(r.metrics.get(constraint.figure) for r in runs)
        if not values:
            said.append(f"{constraint} was asked for, but {constraint.figure} was not measured.")
        elif violation((constraint,), runs) > 0.0:
            mean = number(sum(values) / len(values), 4)
            every = " and ".join(map(str, constraints))
            said.append(
                f"No confirmed stack keeps {every}: this one has {constraint.figure} {mean}."
            )
    return said
