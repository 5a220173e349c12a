"""What counts as simple among stacks that cannot be told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean

from trainstack.search.evidence.candidates import Candidate, departures
from trainstack.search.evidence.finite import figure as finite_figure
from trainstack.search.evidence.finite import finite
from trainstack.search.evidence.formatting import number
from trainstack.search.records import Run
from trainstack.spaces.profiles import PROFILES

# Figure that a profile spares (`Profile.spares`) → sentence on the stack with least of it.
SPARED: dict[str, str] = {
    "latency_ms": "this one answers quickest ({} ms per row)",
    "nonzero_fraction": "this one keeps the fewest weights that are not zero ({})",
}
# Costs within this ratio count as equal: timings are not more precise.
_STEP = 1.1


def cost(profile: str, row: Mapping[int, Run]) -> float | None:
    """Return the mean over a stack's confirmation runs of the figure that a profile spares.

    None for a profile that spares nothing, or if the figure was not measured.
    """
    figure = PROFILES[profile].spares
    found = [value for run in row.values() if (value := _amount(run, figure)) is not None]
    return fmean(found) if found else None


def _amount(run: Run, figure: str | None) -> float | None:
    value = finite_figure(run.metrics, figure or "")
    if figure == "nonzero_fraction" and value is not None:
        # The number of weights matters, not their share of the network.
        weights = 1.0
        if "parameters" in run.metrics:
            weights = finite_figure(run.metrics, "parameters")
        return None if weights is None else value * weights
    return value


def spared(profile: str, row: Mapping[int, Run]) -> str | None:
    """Return a sentence on the figure that the stack has least of, if its profile spares one."""
    spent = cost(profile, row)
    return None if spent is None else SPARED[PROFILES[profile].spares or ""].format(number(spent))


def simplicity(candidate: Candidate, row: Mapping[int, Run], profile: str) -> tuple[float, ...]:
    """Return a key that is smaller for the simpler stack.

    First the figure that the profile spares, if any, in steps of a tenth; then the departures from
    the chapter's default, the number of weights, the seconds per epoch, and the search's loss.
    """
    spent = cost(profile, row)
    step = math.inf if spent is None else round(math.log(max(spent, 1e-9), _STEP))
    weights = finite(r.metrics.get("parameters") for r in row.values())
    paces = [
        seconds / r.epochs
        for r in row.values()
        if r.epochs and (seconds := finite_figure(r.seconds, "train")) is not None
    ]
    return (
        step,
        len(departures(candidate.stack)),
        min(weights, default=math.inf),
        fmean(paces) if paces else math.inf,
        candidate.search_value if candidate.search_value is not None else math.inf,
    )
