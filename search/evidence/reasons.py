"""Why a stack was chosen, in sentences."""

from __future__ import annotations

from trainstack.search.evidence.candidates import Candidate, departures
from trainstack.search.evidence.deciding import BY_LOSS, Deciding
from trainstack.search.evidence.formatting import number
from trainstack.search.evidence.picking import Picked, above


def reasons(
    picked: Picked,
    compared: int,
    because: str | None,
    deciding: Deciding = BY_LOSS,
) -> tuple[str, ...]:
    """Return self-contained sentences on why a stack was chosen.

    Args:
        picked: The chosen stack, and what its choice rests on.
        compared: Number of compared stacks.
        because: Sentence on the spared figure, if any (`spared`).
        deciding: What decides the study.
    """
    chosen, leader, level = picked.chosen, picked.leader, picked.level
    among = picked.among
    if compared == 1:
        return ("There was nothing else to choose from.",)
    if len(level) == 1 and chosen is leader:
        return (
            f"Its confirmed {deciding.figure} is the {deciding.best} of the {compared} stacks "
            "compared, and every other one can be told from it.",
        )
    if picked.price is not None:
        return _priced(picked, picked.price, compared, deciding)
    same = f"{len(level)} of the {compared} stacks compared cannot be told from the best"
    if len(level) == compared:
        same = f"The {compared} stacks compared cannot be told apart"
    if because is not None:
        simple = f"{same}; of those{among} {because}."
    elif chosen.is_baseline:
        return (f"{same}; the chapter's default is one of them, and it is the simplest.",)
    else:
        count = _departures(chosen)
        simple = f"{same}; of those this one departs least from the default ({count})."
    return (simple, _beside_leader(picked, deciding))


def _priced(picked: Picked, price: float, compared: int, deciding: Deciding) -> tuple[str, ...]:
    """Return the sentences on the cheapest stack, of those shown to beat the default or of all."""
    count, ahead = _departures(picked.chosen), len(picked.ahead)
    each = (
        f"each departure from the default priced at {number(price)} % of its {deciding.objective}"
    )
    if not picked.among:
        least = f"With {each}, it costs least of the {compared} stacks compared."
    elif ahead == 1:
        least = f"It is the only one of the {compared} stacks compared shown to beat the default."
    else:
        shown = f"{ahead} of the {compared} stacks compared are shown to beat the default"
        least = f"{shown}; with {each}, this one, which departs in {count}, costs least."
    return (least, _beside_leader(picked, deciding))


def _departures(chosen: Candidate) -> str:
    count = len(departures(chosen.stack))
    return "1 axis" if count == 1 else f"{count} axes"


def _beside_leader(picked: Picked, deciding: Deciding) -> str:
    """Return how the chosen stack compares with the one of the best confirmed figure."""
    if picked.chosen is picked.leader:
        return f"It is also the one with the {deciding.best} confirmed {deciding.figure}."
    gap, side = picked.apart[picked.chosen.stack_id], "higher" if deciding.rises else "lower"
    within = "" if above(gap) else ", within its interval"
    best = f"The {deciding.best} confirmed {deciding.figure}"
    return f"{best} was {gap.mean:.3g} {side}{within}."
