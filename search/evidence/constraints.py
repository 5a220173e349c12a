"""Constraints on the recommended stack: `latency_ms<=1`, `parameters<=100000`.

To add a figure, add a row.
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

# Figures that may be bounded → descriptions. A run's metrics hold them by these names.
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
        """Return the violation as a fraction of the bound: 0 or less if it is kept.

        None if the figure is unknown. Optuna's samplers take this value as a constraint.
        """
        value = figure(metrics, self.figure)
        if value is None:
            return None
        gap = value - self.bound if self.at_most else self.bound - value
        return gap / abs(self.bound)


def read(text: str) -> Constraint:
    """Parse a constraint as written by a user.

    >>> str(read("latency_ms <= 1"))
    'latency_ms<=1'

    Raises:
        RequestError: The text is not a bound on a known figure.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        hint = "figures: " + ", ".join(FIGURES)
        raise RequestError(f"constraint {text!r}", "such as 'latency_ms<=1'", hint)
    figure, sign, limit = match.groups()
    if figure not in FIGURES:
        raise RequestError(
            f"constraint {text!r} bounds {figure!r}", "a known figure", nearest(figure, [*FIGURES])
        )
    try:
        bound = float(limit)
    except ValueError:
        bound = math.nan
    if not (math.isfinite(bound) and bound > 0.0):
        raise RequestError(f"constraint {text!r} has the bound {limit!r}", "a number above 0")
    return Constraint(figure, sign == "<=", bound)


def read_all(texts: Sequence[str]) -> tuple[Constraint, ...]:
    """Parse all constraints of a spec."""
    return tuple(read(text) for text in texts)


def violation(constraints: Sequence[Constraint], runs: Sequence[Run]) -> float:
    """Return the sum of a stack's violations of the constraints; 0 if all are kept.

    Each figure is the mean over the runs that have it; a figure without runs violates nothing.
    """
    total = 0.0
    for constraint in constraints:
        known = [v for r in runs if (v := constraint.violation(r.metrics)) is not None]
        total += max(0.0, sum(known) / len(known)) if known else 0.0
    return total


def told(constraints: Sequence[Constraint], runs: Sequence[Run]) -> list[str]:
    """Return a sentence for each constraint that a stack violates or did not measure."""
    warnings = []
    for constraint in constraints:
        values = finite(r.metrics.get(constraint.figure) for r in runs)
        if not values:
            warnings.append(
                f"{constraint} was asked for, but {constraint.figure} was not measured."
            )
        elif violation((constraint,), runs) > 0.0:
            mean = number(sum(values) / len(values), 4)
            every = " and ".join(map(str, constraints))
            warnings.append(
                f"No confirmed stack keeps {every}: this one has {constraint.figure} {mean}."
            )
    return warnings
