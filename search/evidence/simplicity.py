"""The simplest of stacks that cannot be told apart, and the reasons in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from trainstack.search.evidence.candidates import Candidate, departures
from trainstack.search.evidence.deciding import BY_LOSS, Deciding
from trainstack.search.evidence.estimates import Estimate
from trainstack.search.evidence.finite import figure as finite_figure
from trainstack.search.evidence.finite import finite
from trainstack.search.evidence.formatting import number
from trainstack.search.records import Run
from trainstack.spaces.profiles import PROFILES

# Figure that a profile spares (`Profile.spares`) → sentence on the stack with least of it.
SPARED: dict[str, str] = {
    "latency_ms": "this one answers quickest ({} ms a row)",
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


def reasons(
    chosen: Candidate,
    leader: Candidate,
    level: Sequence[Candidate],
    compared: int,
    apart: Mapping[str, Estimate],
    among: str,
    because: str | None,
    deciding: Deciding = BY_LOSS,
) -> tuple[str, ...]:
    """Return self-contained sentences on why a stack was chosen.

    Args:
        chosen: The stack.
        leader: The stack with the lowest confirmed loss.
        level: Stacks that cannot be told from the leader.
        compared: Number of compared stacks.
        apart: Stack's id → its loss minus the leader's.
        among: Restriction of the choice, if any (` that …`).
        because: Sentence on the spared figure, if any (`spared`).
        deciding: What decides the study.
    """
    if compared == 1:
        return ("There was nothing else to choose from.",)
    if len(level) == 1:
        return (
            f"Its confirmed {deciding.figure} is the {deciding.best} of the {compared} stacks "
            "compared, and every other one can be told from it.",
        )
    same = f"{len(level)} of the {compared} stacks compared cannot be told from the best"
    if because is not None:
        simple = f"{same}; of those{among} {because}."
    elif chosen.is_baseline:
        return (f"{same}; the chapter's default is one of them, and it is the simplest.",)
    else:
        count = len(departures(chosen.stack))
        axes = "axis" if count == 1 else "axes"
        simple = (
            f"{same}; of those{among} this one departs least from the default ({count} {axes})."
        )
    if chosen is leader:
        return (simple, f"It is also the one with the {deciding.best} confirmed {deciding.figure}.")
    gap, side = apart[chosen.stack_id].mean, "higher" if deciding.rises else "lower"
    best = f"The {deciding.best} confirmed {deciding.figure}"
    return (simple, f"{best} was {gap:.3g} {side}, within its interval.")
